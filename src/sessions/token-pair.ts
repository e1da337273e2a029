import type { RefreshKey } from '../keys/refresh-keys.ts'
import type { IssueAccessToken } from '../tokens/issue.ts'
import { encodeRefreshToken } from './refresh-token.ts'
import type { RefreshedSession, Standing } from './session.ts'

export interface TokenPair {
  readonly accessToken: string
  readonly refreshToken: string
  /** Seconds the access token lives. */
  readonly expiresIn: number
  readonly scope: string
}

export type IssuePair = (session: RefreshedSession, standing: Standing) => Promise<TokenPair>

/** The refresh keys of this instant. */
export interface RefreshKeys {
  current(): readonly RefreshKey[]
}

/** Issues what a session gives at each step: a fresh access token, and the refresh token of its counter. */
export function createIssuePair({
  issue,
  refreshKeys,
}: {
  issue: IssueAccessToken
  refreshKeys: RefreshKeys
}): IssuePair {
  return async ({ id, clientId, scope, createdAt, counter, rotatedAt }, { accountId, roles, tokenVersion }) => {
    const { token, expiresIn } = await issue({
      sub: accountId,
      client_id: clientId,
      sid: id,
      auth_time: createdAt,
      scope,
      roles: [...roles],
      token_version: tokenVersion,
    })
    const refreshToken = encodeRefreshToken({ sessionId: id, counter }, refreshKeys.current(), rotatedAt)
    return { accessToken: token, refreshToken, expiresIn, scope }
  }
}
