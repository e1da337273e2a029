import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import type { FairShare } from '../limits/fair-share.ts'

/** How many requests are let go in one turn of the event loop: others are served in between. */
const RELEASED_PER_TURN = 200
/** The pause after as many, when each of them gets a long answer: 10,000 get theirs within a second. */
const LONG_ANSWERS_PAUSE_MS = 20

/**
 * Tells when a client hangs up. An AbortSignal does; making one for each request costs more than the rest of a wait.
 */
export interface HangUp {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** Requests that wait for something newer than what they hold. */
export interface FeedWaits<Held> {
  /**
   * Resolves when what the request holds is out of date, after the time, or when the client hangs up.
   *
   * @returns undefined when there is no place to wait, in all or for this network
   */
  wait(held: Held, milliseconds: number, client: HangUp, network: string): Promise<void> | undefined
  /**
   * Lets go whoever holds something out of date. Resolves when all of those are.
   *
   * @param how.getLongAnswers then they are let go more slowly, so that not all answers are in memory at once
   */
  release(isOutOfDate: (held: Held) => boolean, how?: { getLongAnswers: boolean }): Promise<void>
  /** Lets everybody go, now and from now on. */
  close(): void
  readonly size: number
}

/** @param places they may be shared with other waits */
export function createFeedWaits<Held>(places: FairShare): FeedWaits<Held> {
  const waiters = new Map<() => void, Held>()
  let closed = false
  return {
    wait(held, milliseconds, client, network) {
      if (closed || client.aborted) return Promise.resolve()
      if (places.refusal(network) !== undefined) return undefined
      places.take(network)
      return new Promise((resolve) => {
        const release = () => {
          if (!waiters.delete(release)) return
          places.leave(network)
          clearTimeout(timer)
          client.removeEventListener('abort', release)
          resolve()
        }
        const timer = setTimeout(release, milliseconds)
        client.addEventListener('abort', release)
        waiters.set(release, held)
      })
    },
    async release(isOutOfDate, { getLongAnswers } = { getLongAnswers: false }) {
      const outOfDate = [...waiters].filter(([, held]) => isOutOfDate(held))
      for (const [i, [release]] of outOfDate.entries()) {
        if (i > 0 && i % RELEASED_PER_TURN === 0)
          await (getLongAnswers ? delay(LONG_ANSWERS_PAUSE_MS, undefined, { ref: false }) : turn())
        release()
      }
    },
    close() {
      closed = true
      for (const release of [...waiters.keys()]) release()
    },
    get size() {
      return waiters.size
    },
  }
}
