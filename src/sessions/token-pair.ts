import type { RefreshKey } from '../keys/refresh-keys.ts'
import type { IssueAccessToken } from '../tokens/issue.ts'
import { encodeRefreshToken } from './refresh-token.ts'
import type { RefreshedSession, TokenSubject } from './session.ts'

export interface TokenPair {
  readonly accessToken: string
  readonly refreshToken: string
  /** Lifetime of the access token in seconds. */
  readonly expiresIn: number
  readonly scope: string
}

/** The scope and audience of an access token that may do less than its session. */
export interface Narrowed {
  readonly scope?: string
  readonly audience?: readonly string[]
}

export type IssuePair = (session: RefreshedSession, subject: TokenSubject, narrowed?: Narrowed) => Promise<TokenPair>

/** The refresh keys of this instant. */
export interface RefreshKeys {
  current(): readonly RefreshKey[]
}

/** Issues the tokens of a session at its present counter: a new access token, and the refresh token of that counter. */
export function createIssuePair({
  issue,
  refreshKeys,
  emailVerifiedClaim = false,
}: {
  issue: IssueAccessToken
  refreshKeys: RefreshKeys
  /** True: the access tokens say whether the address is verified. Default: they do not. */
  emailVerifiedClaim?: boolean
}): IssuePair {
  return async (
    session,
    { accountId, roles, tokenVersion, emailVerified },
    { scope = session.scope, audience } = {},
  ) => {
    const { id, clientId, authTime, counter, rotatedAt } = session
    const { token, expiresIn } = await issue({
      sub: accountId,
      client_id: clientId,
      sid: id,
      auth_time: authTime,
      scope,
      roles: [...roles],
      token_version: tokenVersion,
      ...(emailVerifiedClaim && { email_verified: emailVerified }),
      ...(audience && { audience }),
    })
    const refreshToken = encodeRefreshToken({ sessionId: id, counter }, refreshKeys.current(), rotatedAt)
    return { accessToken: token, refreshToken, expiresIn, scope }
  }
}
