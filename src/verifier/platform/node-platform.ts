import { createPublicKey } from 'node:crypto'
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { publicJwk, toPem } from '../../keys/jwk.ts'
import { createNodeSignature } from '../../tokens/node-signature.ts'
import type { Platform } from './platform.ts'

/** Node, and what has its modules: Bun and Deno. */
export const nodePlatform: Platform = {
  createSignature: createNodeSignature,
  readKey(members) {
    const usable = publicJwk(createPublicKey({ key: { ...members }, format: 'jwk' }))
    return { kid: usable.kid, pem: toPem(usable) }
  },
  inBackground,
  waitedFor,
  warn: (message, code) => process.emitWarning(message, { code }),
}

// A verifier asks in the background for as long as the process lives, and must not be the reason that it lives. `fetch`
// has no way to say so. But undici, on which it is built, names the socket of each request in a diagnostics channel.

/** How many requests of verifiers are under way, by their URL. */
const underWay = new Map<string, number>()
/** Sockets that we took the process's attention from. */
const unreferenced = new WeakSet<Socket>()
let isSubscribed = false

function onSend(message: unknown): void {
  const { request, socket } = message as { request: { origin?: unknown; path: string }; socket: Socket }
  if (underWay.has(`${request.origin}${request.path}`)) {
    socket.unref()
    unreferenced.add(socket)
  } else if (unreferenced.delete(socket)) socket.ref() // kept alive, and now used by somebody else
}

/** The same `fetch`, whose requests do not keep the process alive while they wait for an answer. */
function inBackground(fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  if (!isSubscribed) subscribe('undici:client:sendHeaders', onSend)
  isSubscribed = true
  return async (input, init) => {
    const url = String(input)
    underWay.set(url, (underWay.get(url) ?? 0) + 1)
    try {
      return await fetch(input, init)
    } finally {
      const others = (underWay.get(url) ?? 1) - 1
      if (others > 0) underWay.set(url, others)
      else underWay.delete(url)
    }
  }
}

/** Keeps the process alive until the promise is settled: for what somebody waits for. */
function waitedFor<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, 2 ** 30)
  return promise.finally(() => clearInterval(timer))
}
