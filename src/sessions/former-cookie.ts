import type { BeganBeforeUpdate } from './former-cookie-store.ts'
import { decodeRefreshToken } from './refresh-token.ts'
import type { RefreshKeys } from './token-pair.ts'

/** Tells whether a refresh token belongs to a session that may have been given the former cookie. */
export type PredatesHostCookie = (refreshToken: string) => Promise<boolean>

/** While servers are updated one by one, one that is still old opens sessions with the former cookie. */
const UPDATE_SECONDS = 3600

/**
 * A sibling subdomain can push a cookie of the former name, and would go on to do so if every token were taken from it.
 * So only tokens of sessions from before the update are: `SESSION_MAX_TTL` later none of them is left.
 */
export function createPredatesHostCookie(parts: {
  beganBeforeUpdate: BeganBeforeUpdate
  refreshKeys: RefreshKeys
}): PredatesHostCookie {
  return async (refreshToken) => {
    const claim = decodeRefreshToken(refreshToken, parts.refreshKeys.current())
    return claim !== undefined && (await parts.beganBeforeUpdate(claim.sessionId, UPDATE_SECONDS))
  }
}
