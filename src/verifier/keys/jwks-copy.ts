/** A JWKS as it came. Instants are milliseconds of the monotonic clock, unless they say otherwise. */
export interface JwksCopy {
  readonly pems: ReadonlyMap<string, string>
  /** The text of the answer. */
  readonly text: string
  readonly etag: string | undefined
  /** When the issuer made it, as far as is known. */
  readonly madeAt: number
  /** The same in epoch seconds. */
  readonly madeAtSeconds: number
  /** Milliseconds for which it may be kept. */
  readonly lifetime: number
  /** From then on its keys are not used. */
  readonly goodUntil: number
  /** The same in epoch seconds, where the monotonic clock is not enough: it stops while an isolate is frozen. */
  readonly goodUntilSeconds: number
  /** From then on another copy should be there. */
  readonly freshUntil: number
  /** The same in epoch seconds: the monotonic clock stops while a machine sleeps. */
  readonly freshUntilSeconds: number
}

/** `Age` is in whole seconds. */
const AGE_PRECISION_MS = 1000
const NEVER = Number.NEGATIVE_INFINITY
export const NO_COPY: JwksCopy = {
  pems: new Map(),
  text: '',
  etag: undefined,
  madeAt: NEVER,
  madeAtSeconds: NEVER,
  lifetime: 0,
  goodUntil: NEVER,
  goodUntilSeconds: NEVER,
  freshUntil: NEVER,
  freshUntilSeconds: NEVER,
}

/** Where the two clocks stand. */
export interface Clocks {
  /** Milliseconds that only go forward. */
  readonly monotonic: number
  /** Epoch seconds. */
  readonly seconds: number
}

/**
 * @param leastFresh milliseconds for which it counts as fresh at the least
 * @param staleFor milliseconds for which its keys are good when it is not fresh any more
 * @param byBothClocks whether its keys are also over when the system clock says so
 */
export function jwksCopy(
  came: Pick<JwksCopy, 'pems' | 'text' | 'etag' | 'madeAt' | 'lifetime'>,
  { monotonic, seconds }: Clocks,
  { leastFresh, staleFor, byBothClocks }: { leastFresh: number; staleFor: number; byBothClocks: boolean },
): JwksCopy {
  const freshFor = Math.max(leastFresh, came.lifetime - (monotonic - came.madeAt))
  const goodUntil = came.madeAt + came.lifetime + staleFor
  return {
    ...came,
    madeAtSeconds: seconds + (came.madeAt - monotonic) / 1000,
    goodUntil,
    goodUntilSeconds: byBothClocks ? seconds + (goodUntil - monotonic) / 1000 : Number.POSITIVE_INFINITY,
    freshUntil: monotonic + freshFor,
    freshUntilSeconds: seconds + freshFor / 1000,
  }
}

/** It is asked for each token, so the system clock is only read where it counts. @param now epoch seconds */
export function isGood({ goodUntil, goodUntilSeconds }: JwksCopy, monotonic: number, now: () => number): boolean {
  return monotonic < goodUntil && (goodUntilSeconds === Number.POSITIVE_INFINITY || now() < goodUntilSeconds)
}

/**
 * Whether the issuer made a copy before another one.
 *
 * @param byBothClocks whether the system clock has to say so too: by a monotonic clock that stops while an isolate is
 *   frozen, what a cache or a store has would look older than what is from before the freeze
 */
export function isOlder(copy: JwksCopy, other: JwksCopy, byBothClocks: boolean): boolean {
  if (copy.madeAt + AGE_PRECISION_MS >= other.madeAt) return false
  return !byBothClocks || copy.madeAtSeconds < other.madeAtSeconds
}

/** @param share of its lifetime in which it is not asked for anew, up to 1 */
export function isFresh(copy: JwksCopy, { monotonic, seconds }: Clocks, share = 1): boolean {
  const early = copy.lifetime * (1 - share)
  return monotonic < copy.freshUntil - early && seconds < copy.freshUntilSeconds - early / 1000
}
