import type { Resolved, VerifierOptions } from './options.ts'
import { type BoundedStore, boundedStore } from './store/verifier-store.ts'

/**
 * `follow`: timers and long polls in the background. `on-demand`: neither; keys and feed are looked at when a token
 * comes and the copy is too old, for isolates and functions that freeze between two requests.
 */
export type VerifierMode = 'follow' | 'on-demand'

/** Lets work go on after the answer was sent, as `ctx.waitUntil` of Cloudflare Workers. */
export type WaitUntil = (work: Promise<unknown>) => void

/** What one call may want otherwise. */
export interface CallOptions {
  /** Seconds that the copy of the feed may be old for this token, 1 to 3600. Only with `mode: 'on-demand'`. */
  readonly maxFeedAge?: number
  /** Of the request that is handled. It takes the place of the option, and does nothing with `mode: 'follow'`. */
  readonly waitUntil?: WaitUntil
}

export interface ModeOptions {
  readonly mode: VerifierMode
  readonly store: BoundedStore | undefined
  readonly waitUntil: WaitUntil | undefined
}

/** How keys and feed are looked at. @throws TypeError that names the option */
export function modeOptions({
  mode = 'follow',
  maxFeedAge,
  store,
  waitUntil,
  timeout = 5000,
  revocations,
}: VerifierOptions): ModeOptions {
  if (mode !== 'follow' && mode !== 'on-demand') throw new TypeError('mode: "follow" or "on-demand"')
  if (mode === 'follow' && (maxFeedAge !== undefined || waitUntil !== undefined))
    throw new TypeError('maxFeedAge, waitUntil: they have no effect without mode: "on-demand"')
  if (maxFeedAge !== undefined && revocations !== true)
    throw new TypeError('maxFeedAge: it has no effect without revocations: true')
  assertWaitUntil(waitUntil)
  const { get, put } = Object(store)
  if (store !== undefined && !(typeof get === 'function' && typeof put === 'function'))
    throw new TypeError('store: an object with the functions get and put')
  return { mode, waitUntil, store: store === undefined ? undefined : boundedStore(store, timeout) }
}

/** @throws TypeError that names the option */
export function assertCallOptions(options: CallOptions, { mode, feed }: Pick<Resolved, 'mode' | 'feed'>): void {
  const { maxFeedAge, waitUntil, ...others } = options
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw new TypeError(`${unknown.slice(0, 40)}: there is no such option of a call`)
  assertWaitUntil(waitUntil)
  if (maxFeedAge === undefined) return
  if (mode !== 'on-demand' || feed === undefined)
    throw new TypeError('maxFeedAge: it has no effect without mode: "on-demand" and revocations: true')
  feedAge(maxFeedAge)
}

function assertWaitUntil(waitUntil: unknown): void {
  if (waitUntil !== undefined && typeof waitUntil !== 'function') throw new TypeError('waitUntil: a function')
}

/** @throws TypeError that names the option */
export function feedAge(seconds: number): number {
  if (!(Number.isFinite(seconds) && seconds >= 1 && seconds <= 3600))
    throw new TypeError('maxFeedAge: a number of seconds from 1 to 3600')
  return seconds
}
