import type { Clock } from '../../clock.ts'
import type { AppError } from '../../errors/app-error.ts'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import { createVerifier, SignetError, type VerifierEvent } from '../index.ts'

export interface ExplainOptions {
  readonly issuer: string
  readonly audience: readonly string[]
  readonly insecureIssuer: boolean
  /** Whether the revocation feed of the issuer is read. */
  readonly revocations: boolean
  /** The text of a JWKS. Undefined: the issuer is asked. */
  readonly jwks: string | undefined
  readonly fetch: typeof fetch
  /** Epoch seconds at which the token is judged. */
  readonly now: Clock
  /** Epoch seconds of this machine. */
  readonly machine: Clock
}

/** What came of one token. */
export interface Explanation {
  /** Undefined: the guard takes the token. */
  readonly error: AppError | undefined
  /** The key ids of the JWKS; undefined when there is none. */
  readonly kids: readonly string[] | undefined
  /** Why the keys could not be had. */
  readonly keysFailed: string | undefined
  /** `undefined`: it was not asked for. */
  readonly feed: 'read' | { readonly failed: string } | undefined
  /** Seconds by which the clock of the issuer is ahead of this machine; undefined when it did not say. */
  readonly clockAhead: number | undefined
  /** As the token says them, whoever made it; undefined where it can't be read. */
  readonly header: object | undefined
  readonly payload: Partial<AccessTokenClaims> | undefined
}

/**
 * Has the guard judge one token, as it does in a service: the keys of the issuer are fetched, its feed is read, and
 * then the token is verified, by the same code. Everything else here is for people to read.
 *
 * @throws TypeError for options that the guard does not take
 */
export async function explain(token: string, options: ExplainOptions): Promise<Explanation> {
  const { issuer, audience, insecureIssuer, revocations, now } = options
  const jwksUri = `${issuer}/.well-known/jwks.json`
  const seen: { -readonly [Name in 'kids' | 'keysFailed' | 'feed' | 'clockAhead']?: Explanation[Name] } = {}
  const onEvent = (event: VerifierEvent) => {
    if (event.type === 'keys_fetched') seen.kids = event.kids
    else if (event.type === 'keys_failed') seen.keysFailed ??= event.reason
    else if (event.type === 'revocations_applied') seen.feed = 'read'
    else if (event.type === 'revocations_failed') seen.feed ??= { failed: event.reason }
  }
  const noting: typeof fetch = async (input, init) => {
    if (options.jwks !== undefined && String(input).startsWith(jwksUri)) return jwksReply(options.jwks)
    const reply = await options.fetch(input, init)
    seen.clockAhead ??= clockAhead(reply.headers, options.machine())
    return reply
  }
  const verifier = createVerifier({
    ...{ issuer, audience, insecureIssuer, revocations, jwksUri, now, onEvent },
    fetch: noting,
  })
  try {
    await verifier.hydrate().catch(() => undefined) // what is missing then is said by `verify` and by the events
    const error = await verifier.verify(token).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (error !== undefined && !(error instanceof SignetError)) throw error
    const [header, payload] = token.split('.', 2).map(readPart)
    const { kids, keysFailed, clockAhead } = seen
    const feed = revocations ? (seen.feed ?? { failed: 'it gave no answer' }) : undefined
    return { error, kids, keysFailed, feed, clockAhead, header, payload }
  } finally {
    verifier.close()
  }
}

const jwksReply = (text: string) => new Response(text, { headers: { 'cache-control': 'max-age=3600' } })

/** @returns seconds; undefined without a `Date` header (RFC 9110 section 6.6.1), in which seconds are whole */
function clockAhead(headers: Headers, machine: number): number | undefined {
  const date = Date.parse(headers.get('date') ?? '') / 1000
  const age = Number(headers.get('age') ?? 0)
  return Number.isFinite(date) && Number.isFinite(age) ? Math.round(date + age - machine) : undefined
}

/** A part of a token, as it says it. */
function readPart(part: string): object | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}
