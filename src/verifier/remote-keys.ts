import { createPublicKey } from 'node:crypto'
import { AppError } from '../errors/app-error.ts'
import { boundedFetch, failure } from '../http/bounded-fetch.ts'
import { publicJwk, toPem } from '../keys/jwk.ts'
import type { VerificationKeys } from '../tokens/verify.ts'
import type { Resolved } from './options.ts'

const MAX_BYTES = 256 * 1024
const MAX_KEYS = 64
/** Seconds, where the answer says nothing of its age, and the bounds of what it may say. */
const MAX_AGE = { default: 300, least: 5, most: 86_400 }
/**
 * Milliseconds from one look for unknown kids to the next: doubled by each that found nothing, so that a flood of kids
 * is no flood of requests.
 */
const COOL_DOWN = { least: 1000, most: 10_000 }
/** Milliseconds from a failed fetch to the next. */
const RETRY = { least: 500, most: 30_000 }
/** Kids that were looked for in unknownKids, and for how many milliseconds they are not looked for again. */
const NEGATIVE_CACHE = { maxKids: 1000, forMs: 5000 }

export interface RemoteKeys extends VerificationKeys {
  /** Resolves when the keys are there. @throws AppError `keys_unavailable` */
  hydrate(): Promise<void>
  /**
   * Looks for a kid that is not known, unless that was done a moment ago. Resolves when there is nothing more to be
   * learned.
   *
   * @param urgent for a look-up that no stranger can cause: it waits for no cool-down and starts none
   * @throws AppError `keys_unavailable` when the issuer can't be asked: whether the kid is good is not known then
   */
  seek(kid: string, urgent?: boolean): Promise<void>
  /** From now on none of these is used, whatever a JWKS or a later feed says. */
  withdraw(kids: readonly string[]): void
  close(): void
}

/** The JWKS of an issuer: kept for its `max-age`, fetched again behind the scenes, one request at a time. */
export function createRemoteKeys(
  { jwksUri, keysMaxStale, timeout, fetch, onEvent }: Resolved,
  monotonic: () => number,
): RemoteKeys {
  const closing = new AbortController()
  const unknownKids = new Map<string, number>()
  let pems: ReadonlyMap<string, string> = new Map()
  const withdrawn = new Set<string>()
  let etag: string | undefined
  let goodUntil = Number.NEGATIVE_INFINITY
  let fetching: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let failedAt = Number.NEGATIVE_INFINITY
  let failures = 0
  let soughtAt = Number.NEGATIVE_INFINITY
  let coolDown = COOL_DOWN.least

  const again = (milliseconds: number) => {
    clearTimeout(timer)
    if (!closing.signal.aborted) timer = setTimeout(() => void fetchOnce().catch(() => undefined), milliseconds).unref()
  }
  const fetchKeys = async () => {
    try {
      const reply = await boundedFetch(jwksUri, { fetch, timeout, maxBytes: MAX_BYTES, etag, signal: closing.signal })
      if (reply.status === 200) {
        pems = readJwks(reply.text)
        etag = reply.headers.get('etag') ?? undefined
      }
      const age = maxAge(reply.headers.get('cache-control')) * 1000
      failures = 0
      goodUntil = monotonic() + age + keysMaxStale * 1000
      again(age)
      onEvent({ type: 'keys_fetched', kids: [...pems.keys()] })
    } catch (error) {
      failedAt = monotonic()
      failures += 1
      again(backOff())
      onEvent({ type: 'keys_failed', reason: failure(error) })
      throw new AppError('keys_unavailable', { reason: failure(error), cause: error })
    }
  }
  const backOff = () => Math.min(RETRY.most, RETRY.least * 2 ** Math.min(failures - 1, 10))
  const fetchOnce = () => {
    fetching ??= fetchKeys().finally(() => {
      fetching = undefined
    })
    return fetching
  }
  const verificationPem = (kid: string) => (withdrawn.has(kid) || monotonic() >= goodUntil ? undefined : pems.get(kid))

  /** Whether this kid is worth a request now. */
  const mayAsk = (kid: string, urgent: boolean) => {
    if (failures > 0 && monotonic() < failedAt + backOff())
      throw new AppError('keys_unavailable', { reason: 'the last request failed a moment ago' })
    if (monotonic() >= goodUntil) return true
    if (withdrawn.has(kid)) return false
    return urgent || (monotonic() >= soughtAt + coolDown && !(monotonic() < (unknownKids.get(memorable(kid)) ?? 0)))
  }
  return {
    verificationPem,
    hydrate: async () => (monotonic() < goodUntil ? undefined : fetchOnce()),
    async seek(kid, urgent = false) {
      if (fetching !== undefined) await fetching
      if (verificationPem(kid) !== undefined || !mayAsk(kid, urgent)) return
      if (urgent) return fetchOnce()
      soughtAt = monotonic()
      await fetchOnce()
      const found = verificationPem(kid) !== undefined
      coolDown = found ? COOL_DOWN.least : Math.min(COOL_DOWN.most, coolDown * 2)
      if (!found) remember(unknownKids, kid, monotonic() + NEGATIVE_CACHE.forMs)
    },
    withdraw(kids) {
      for (const kid of kids) withdrawn.add(kid)
    },
    close() {
      clearTimeout(timer)
      closing.abort()
    },
  }
}

/** A token can bring a kid of thousands of characters. */
const memorable = (kid: string) => kid.slice(0, 255)

/** Bounded: the oldest goes. */
function remember(unknownKids: Map<string, number>, kid: string, until: number): void {
  if (unknownKids.size >= NEGATIVE_CACHE.maxKids) unknownKids.delete(unknownKids.keys().next().value ?? '')
  unknownKids.set(memorable(kid), until)
}

/**
 * The keys of a JWK Set that verify RS256, as PEM by kid. A key that can't be used safely is left out: it must not
 * take the others
 * with it.
 *
 * @throws Error when none is left
 */
function readJwks(text: string): Map<string, string> {
  const { keys } = JSON.parse(text) as { keys?: unknown }
  if (!Array.isArray(keys)) throw new Error('not a JWK Set')
  const pems = new Map<string, string>()
  for (const jwk of keys.slice(0, MAX_KEYS)) {
    const { kid, alg, use = 'sig', d } = Object(jwk)
    if (alg !== 'RS256' || use !== 'sig' || d !== undefined) continue
    try {
      const usable = publicJwk(createPublicKey({ key: jwk, format: 'jwk' }))
      // A kid is the thumbprint of its key (RFC 7638), so it can't name another one.
      if (usable.kid === kid) pems.set(kid, toPem(usable))
    } catch {}
  }
  if (pems.size === 0) throw new Error('a JWK Set without a key that can be used')
  return pems
}

/** Seconds for which an answer may be kept (RFC 9111 section 5.2.2.1). */
function maxAge(cacheControl: string | null): number {
  const said = /(?:^|[\s,])max-age=(\d{1,9})/i.exec(cacheControl ?? '')?.[1]
  return Math.min(MAX_AGE.most, Math.max(MAX_AGE.least, said === undefined ? MAX_AGE.default : Number(said)))
}
