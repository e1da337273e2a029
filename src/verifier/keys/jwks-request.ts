import { boundedFetch } from '../../http/bounded-fetch.ts'
import type { StopSignal } from '../../timers.ts'
import type { Resolved } from '../options.ts'
import { type Clocks, isOlder, type JwksCopy, jwksCopy } from './jwks-copy.ts'
import { ageSeconds, maxAgeSeconds, readJwks, withQuery } from './jwks-reply.ts'
import { boundedKid } from './kid-search.ts'

const MAX_BYTES = 256 * 1024
/** From one fetch of a copy to the next, at the least: a shared cache may send copies that are over already. */
const LEAST_FRESH_MS = 1000

/**
 * Asks for the JWKS.
 *
 * @param kid that is searched: it stands in the URL, so that no shared cache can answer with an old copy
 * @param before the copy so far, which the issuer may confirm
 * @returns the copy that is to be used, and milliseconds until the next one should be asked for: an older copy of a
 *   shared cache is not used, because it would forget the newest key and bring back a revoked one
 * @throws Error when there is no good answer; its message may be logged
 */
export async function askForJwks(
  options: Resolved,
  kid: string | undefined,
  before: JwksCopy,
  clocks: () => Clocks,
  signal: StopSignal,
): Promise<{ readonly copy: JwksCopy; readonly freshFor: number }> {
  const { jwksUri, timeout, fetch, platform, keysMaxStale, mode } = options
  const url = kid === undefined ? jwksUri : withQuery(jwksUri, 'kid', boundedKid(kid))
  const sent = kid === undefined ? {} : { 'cache-control': 'no-cache' }
  const bounds = { fetch, timeout, maxBytes: MAX_BYTES, signal, headers: sent, etag: before.etag }
  const began = clocks().monotonic
  const { status, text, headers } = await boundedFetch(url, bounds)
  const isNew = status === 200
  const came = isNew
    ? { pems: await readJwks(text, platform.readKey), text, etag: headers.get('etag') ?? undefined }
    : { pems: before.pems, text: before.text, etag: before.etag }
  // The time until the answer counts as age too (RFC 9111 section 4.2.3).
  const madeAt = began - ageSeconds(headers) * 1000
  const lifetime = maxAgeSeconds(headers) * 1000
  const copy = jwksCopy({ ...came, madeAt, lifetime }, clocks(), {
    leastFresh: LEAST_FRESH_MS,
    staleFor: keysMaxStale * 1000,
    byBothClocks: mode === 'on-demand',
  })
  const freshFor = copy.freshUntil - clocks().monotonic
  if (isNew && isOlder(copy, before, mode === 'on-demand')) return { copy: before, freshFor }
  const madeAtSeconds = Math.max(copy.madeAtSeconds, before.madeAtSeconds)
  const used = { ...copy, madeAt: Math.max(madeAt, before.madeAt), madeAtSeconds }
  options.mirrored?.keysCame(used)
  return { copy: used, freshFor }
}
