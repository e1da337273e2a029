import type { AccessTokenClaims } from '../../src/tokens/claims.ts'
import { Watch } from '../../src/verifier/watch/watch.ts'

/** Epoch seconds when a test begins. */
export const NOW = 1_800_000_000
export const SKEW = 5

export type Why = 'key' | 'expired' | 'stale' | 'revoked'

/**
 * A watch whose clocks, timer and issuer the test controls. Every token ends after 100 seconds unless told otherwise.
 */
export function watching() {
  const clock = { seconds: NOW, milliseconds: 0, isBroken: false }
  const revoked = new Set<string>()
  const keys = new Set(['k1', 'k2'])
  const feed = { isStale: false }
  const issuer = { looks: 0, answer: undefined as (() => void) | undefined, look: async () => {} }
  const judged: string[] = []
  const errors: unknown[] = []
  const now = () => {
    if (clock.isBroken) throw new Error('a clock that throws')
    return clock.seconds
  }
  /** The checks in the order of the guard. */
  const judge = ({ exp, jti }: AccessTokenClaims, kid: string): Why | undefined => {
    if (!keys.has(kid)) return 'key'
    if (!(exp > now() - SKEW)) return 'expired'
    if (feed.isStale) return 'stale'
    return revoked.has(jti) ? 'revoked' : undefined
  }
  const timers = new FakeTimer(() => clock.milliseconds)
  const watch = new Watch<Why>(
    {
      now,
      skew: SKEW,
      judge(claims, kid) {
        judged.push(claims.jti)
        return judge(claims, kid)
      },
      isUnsure: (why) => why === 'key' || why === 'stale',
      look: () => {
        issuer.looks += 1
        return issuer.look()
      },
      beat: () => feed.isStale,
      onError: (error) => void errors.push(error),
    },
    (work, ms) => timers.after(work, ms),
    () => clock.milliseconds,
  )
  const told: [jti: string, why: Why][] = []
  const add = (claims: AccessTokenClaims, kid = 'k1', then: () => unknown = () => {}) =>
    watch.add(claims, kid, (why) => {
      told.push([claims.jti, why])
      return then()
    })
  /** Seconds in which the process works. */
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds * 2; i += 1) {
      clock.milliseconds += 500
      clock.seconds += i % 2
      await settled()
    }
  }
  /** Runs what is due. */
  const settled = async () => {
    do {
      timers.run()
      for (let i = 0; i < 8; i += 1) await undefined
    } while (timers.isDue)
  }
  return { watch, add, told, judge, judged, errors, clock, revoked, keys, feed, issuer, timers, pass, settled }
}

export const token = (jti: string, exp = NOW + 100) => Object.freeze({ jti, exp }) as unknown as AccessTokenClaims

/** The one timer of a watch. A second one is a fault. */
class FakeTimer {
  readonly #now: () => number
  #set: { readonly work: () => void; readonly at: number } | undefined
  /** How many turns there were. */
  turns = 0

  constructor(now: () => number) {
    this.#now = now
  }

  after(work: () => void, ms: number): () => void {
    if (this.#set !== undefined) throw new Error('a second timer')
    const mine = { work, at: this.#now() + ms }
    this.#set = mine
    return () => {
      if (this.#set === mine) this.#set = undefined
    }
  }

  get isSet(): boolean {
    return this.#set !== undefined
  }

  get isDue(): boolean {
    return this.#set !== undefined && this.#set.at <= this.#now()
  }

  /** One turn of the event loop, if it is due. */
  turn(): void {
    const due = this.isDue ? this.#set : undefined
    if (due === undefined) return
    this.#set = undefined
    this.turns += 1
    due.work()
  }

  run(): void {
    for (let turns = 0; this.isDue; turns += 1) {
      if (turns > 10_000) throw new Error('it never rests')
      this.turn()
    }
  }
}
