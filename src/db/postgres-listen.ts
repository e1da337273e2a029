import { setTimeout as sleep } from 'node:timers/promises'
import { Client, type ClientConfig } from 'pg'
import { createBackoff } from './backoff.ts'

/** Milliseconds between two signs of life. Without them a connection that was cut without a word is listened to for ever. */
const HEARTBEAT_INTERVAL_MS = 15_000

/**
 * Listens on a connection of its own until it is stopped, and connects again whenever that is lost.
 *
 * @param onChange called for every notification, and after every connect: what was sent before it is lost
 * @returns a function that stops it and resolves when onChange is called no more
 */
export function listen(config: ClientConfig, channel: string, onChange: () => void): () => Promise<void> {
  const stopped = new AbortController()
  const ended = follow(config, channel, onChange, stopped.signal)
  return () => {
    stopped.abort()
    return ended
  }
}

async function follow(config: ClientConfig, channel: string, onChange: () => void, stopped: AbortSignal) {
  const backoff = createBackoff()
  while (!stopped.aborted) {
    await hear(config, channel, stopped, () => {
      backoff.reset()
      // Not called from here: what a listener throws is a bug to be seen, not a connection to be made again.
      queueMicrotask(onChange)
    }).catch(() => undefined)
    await sleep(backoff.next(), undefined, { signal: stopped, ref: false }).catch(() => undefined)
  }
}

/** One connection, from its making to its loss, which is always an error. */
async function hear(config: ClientConfig, channel: string, stopped: AbortSignal, onChange: () => void): Promise<void> {
  const client = new Client(config)
  const lost = new AbortController()
  const signal = AbortSignal.any([stopped, lost.signal])
  client.on('error', () => lost.abort())
  client.on('end', () => lost.abort())
  client.on('notification', onChange)
  try {
    await client.connect()
    await client.query(`LISTEN ${client.escapeIdentifier(channel)}`)
    onChange()
    for (;;) {
      await sleep(HEARTBEAT_INTERVAL_MS, undefined, { signal, ref: false })
      await client.query('SELECT 1')
    }
  } finally {
    client.end().catch(() => undefined)
  }
}
