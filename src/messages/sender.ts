import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import type { RefreshKey } from '../keys/refresh-keys.ts'
import type { Composers } from './message.ts'
import type { Outage } from './outage.ts'
import type { OutboxStore } from './outbox-store.ts'
import { createSendOne } from './send-one.ts'
import type { Texts } from './texts.ts'
import { DELIVERY_TIMEOUT_SECONDS, type Transport } from './transport.ts'

/** How often the sender looks for messages, on average. */
const LOOK_INTERVAL_MS = 1000
/**
 * Then the messages of a sender that died are another's. The clocks of two servers may differ by `skew` in addition.
 */
const CLAIM_SECONDS = DELIVERY_TIMEOUT_SECONDS + 15
/** How long `stop` waits for deliveries under way. */
const STOP_WITHIN_MS = 5000
/** Messages that are delivered at once. */
export const MAX_AT_ONCE = 5

export interface SenderOptions {
  readonly store: OutboxStore
  readonly composers: Composers
  readonly texts: Texts
  readonly transport: Transport
  readonly outage: Outage
  readonly keys: () => readonly RefreshKey[]
  /** The host in the Message-ID. */
  readonly host: string
  /** Seconds by which the clocks of two servers may differ. */
  readonly skew: number
  readonly now: Clock
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Aborted when the process ends. */
  readonly signal: AbortSignal
  /** 0..1 */
  readonly random?: () => number
}

export interface Sender {
  /** Begins to send. It never throws: what fails is logged, and tried again. */
  start(): void
  /** Sends what is due now, and waits until it is done. For tests and scripts: a server calls `start`. */
  sendDue(): Promise<void>
  /** Claims no more, and waits for the deliveries under way: five seconds at most. */
  stop(): Promise<void>
}

/**
 * The pause until the sender looks again, in milliseconds. No request ends it, and nobody can know when it ends: a
 * message for an account takes more work than one that is dropped, and whoever measures the request after
 * `POST /v1/recovery` would learn from that work who has an account.
 *
 * @param random 0..1
 */
export const pauseBetweenLooks = (random: number): number => LOOK_INTERVAL_MS * (0.5 + random)

/**
 * The sender: takes messages out of the outbox, a few at once, and sends them. It runs beside the server, and no
 * request waits for it. Several senders may share one outbox.
 */
export function createSender(options: Omit<SenderOptions, 'signal'>): Sender {
  const { random = Math.random } = options
  const stopping = new AbortController()
  const bell = createBell()
  const working = new Set<Promise<unknown>>()
  const sendOne = createSendOne({ ...options, signal: stopping.signal })
  let storeLost = false

  /** @returns the number of messages that it began to send */
  const sendSome = async (): Promise<number> => {
    const limit = options.outage.allowed() - working.size
    if (limit <= 0) return 0
    const now = options.now()
    const claimed = await options.store.claim({ now, until: now + CLAIM_SECONDS + options.skew, limit })
    for (const one of claimed) {
      const work = sendOne(one).finally(() => {
        working.delete(work)
        bell.ring()
      })
      working.add(work)
    }
    return claimed.length
  }

  const look = async (): Promise<number> => {
    try {
      const begun = await sendSome()
      storeLost = false
      return begun
    } catch (err) {
      if (!storeLost) options.log.warn({ err }, 'messages wait: the outbox can not be read')
      storeLost = true
      return 0
    }
  }

  const run = async () => {
    while (!stopping.signal.aborted) {
      if ((await look()) === 0) await bell.rung(pauseBetweenLooks(random()))
    }
  }

  return {
    start: () => void run(),
    async sendDue() {
      while ((await sendSome()) > 0) await Promise.all(working)
    },
    async stop() {
      stopping.abort()
      bell.ring()
      await Promise.race([Promise.all(working), sleep(STOP_WITHIN_MS, undefined, { ref: false })])
      options.transport.close()
    },
  }
}

/** Ends a wait. A ring while nobody waits ends the next wait at once. */
function createBell() {
  let rang = false
  let end: () => void = () => undefined
  return {
    ring() {
      rang = true
      end()
    },
    async rung(withinMs: number): Promise<void> {
      if (!rang)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, withinMs).unref()
          end = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      rang = false
    },
  }
}
