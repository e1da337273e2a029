import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { createBackoff } from './backoff.ts'
import { type Connecting, isPooled, openSession } from './postgres-session.ts'

/** How often the connection is tested. Otherwise a connection that was cut silently would be listened to for ever. */
const HEARTBEAT_INTERVAL_MS = 15_000

/**
 * Listens on a connection of its own until it is stopped, and connects again whenever that connection is lost.
 *
 * Behind a connection pooler nobody can listen: PgBouncer in transaction mode takes a LISTEN, and notifications never
 * arrive. The connection is then kept without it. When the pooler is taken away it is lost, and the next one may
 * listen.
 *
 * @param onChange called for every notification, and after every connect, because notifications sent before it are lost
 * @returns a function that stops it and resolves once onChange will not be called any more
 */
export function listen(connecting: Connecting, channel: string, onChange: () => void): () => Promise<void> {
  const stopped = new AbortController()
  const ended = follow(connecting, channel, onChange, stopped.signal)
  return () => {
    stopped.abort()
    return ended
  }
}

async function follow(connecting: Connecting, channel: string, onChange: () => void, stopped: AbortSignal) {
  const backoff = createBackoff()
  while (!stopped.aborted) {
    await hear(connecting, channel, stopped, () => {
      backoff.reset()
      // In a microtask: an exception of a listener is a bug that must surface, not a reason to connect again.
      queueMicrotask(onChange)
    }).catch(() => undefined)
    await sleep(backoff.next(), undefined, { signal: stopped, ref: false }).catch(() => undefined)
  }
}

/**
 * One connection, from connect to loss. Never resolves: it rejects when the connection is lost or the listener is
 * stopped.
 */
async function hear(
  connecting: Connecting,
  channel: string,
  stopped: AbortSignal,
  onChange: () => void,
): Promise<void> {
  const client = new Client(connecting.config)
  const lost = new AbortController()
  const signal = AbortSignal.any([stopped, lost.signal])
  client.on('error', () => lost.abort())
  client.on('end', () => lost.abort())
  client.on('notification', onChange)
  try {
    await client.connect()
    await openSession(client, connecting.timeoutMs)
    if (!isPooled(client)) {
      await client.query(`LISTEN ${client.escapeIdentifier(channel)}`)
      onChange()
    }
    for (;;) {
      await sleep(HEARTBEAT_INTERVAL_MS, undefined, { signal, ref: false })
      await client.query('SELECT 1')
    }
  } finally {
    client.end().catch(() => undefined)
  }
}
