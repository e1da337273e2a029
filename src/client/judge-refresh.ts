import type { Answer } from './answer.ts'
import type { Elapsed } from './clocks.ts'

/** The tokens of an answer. */
export interface Tokens {
  readonly accessToken: string
  /** Milliseconds that the access token lives from when it was made. */
  readonly lifeMs: number
  /** Absent with the cookie transport. */
  readonly refreshToken?: string | undefined
  /** Since its life began at the latest: before the request was sent. */
  readonly since?: Elapsed | undefined
}

/**
 * `over`: the server said so in the one way that means it. `wait`: nothing is known, so the session stays, and the same
 * request is sent again later. Tokens: it was renewed.
 */
export type RefreshVerdict = Tokens | 'over' | 'wait'

/** `b64token` of RFC 6750 section 2.1: no character that could end a header line. */
const TOKEN = /^[\w.~+/-]+=*$/
const MAX_LIFE_MS = 86_400_000

/**
 * What an answer of `POST /v1/refresh` means. A session is over only after 401 with the code `invalid_refresh_token`.
 * Everything that is not understood is `wait`: a session that ended will say so at the next try, and one that was
 * dropped by mistake can't be taken back.
 *
 * @param isCookie without it, an answer that has no refresh token is not understood
 */
export function judgeRefresh(answer: Answer, isCookie: boolean): RefreshVerdict {
  if (answer.status === 401 && answer.code === 'invalid_refresh_token') return 'over'
  const tokens = readTokens(answer)
  return tokens && (isCookie || tokens.refreshToken) ? tokens : 'wait'
}

/** The tokens of a token response (RFC 6749 section 5.1), or undefined for anything else. */
export function readTokens({ status, body = {}, since }: Answer): Tokens | undefined {
  const { access_token: accessToken, expires_in: seconds, refresh_token: refreshToken } = body
  const lifeMs = Math.min(Number(seconds) * 1000, MAX_LIFE_MS)
  return status === 200 && isToken(accessToken) && lifeMs > 0
    ? { accessToken, lifeMs, since, refreshToken: isToken(refreshToken) ? refreshToken : undefined }
    : undefined
}

/** True for a text that can be a token. It says nothing about whether the token is good. */
export const isToken = (value: unknown): value is string => typeof value === 'string' && TOKEN.test(value)
