import type { RequestSource } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import { type Limiter, spend, tooMany } from '../limits/limiter.ts'
import { decodeRefreshToken } from './refresh-token.ts'
import type { SessionLimits } from './session.ts'
import type { SessionStore } from './session-store.ts'
import type { IssuePair, Narrowed, RefreshKeys, TokenPair } from './token-pair.ts'

/** The results of presenting a refresh token, for the metrics. `forged`: not made with a key of ours. */
export const REFRESH_OUTCOMES = ['rotated', 'repeated', 'retried', 'ahead', 'reused', 'refused', 'forged'] as const
export type RefreshOutcomeName = (typeof REFRESH_OUTCOMES)[number]

export type Refresh = (refreshToken: string, source: RequestSource, narrowed?: Narrowed) => Promise<TokenPair>

/**
 * Exchanges a refresh token for the next pair of tokens (RFC 9700 section 4.14.2). `judgeRefresh` has the rules: tabs
 * that refresh at the same time get the same successor, a client that lost the answer gets another one, and a copy of a
 * token ends the session.
 *
 * @returns a function that throws AppError `invalid_refresh_token`, the same for every refusal, or `too_many_requests`
 */
export function createRefresh(parts: {
  sessions: SessionStore
  refreshKeys: RefreshKeys
  limits: SessionLimits
  issuePair: IssuePair
  /** Resolves when this node refuses the tokens that were just revoked. */
  revocationsApplied: () => Promise<void>
  limiter: Limiter
  observe?: (outcome: RefreshOutcomeName) => void
  now: Clock
}): Refresh {
  const { sessions, refreshKeys, limits, issuePair, revocationsApplied, limiter, observe, now } = parts

  return async (refreshToken, source, narrowed) => {
    const claim = decodeRefreshToken(refreshToken, refreshKeys.current())
    if (claim === undefined) {
      observe?.('forged')
      throw new AppError('invalid_refresh_token', {
        reason: 'the refresh token was not made with a key of this server',
      })
    }
    const by = { now: now(), limits, source }
    // Only the holder of a genuine token can use up this quota. A thief who does so must be found all the same.
    const outcome = await spend(limiter, 'refreshSession', claim.sessionId).then(
      () => sessions.refresh(claim, by),
      async (tooMany) => {
        if (await sessions.endIfReused(claim, by)) return { kind: 'reused' } as const
        throw tooMany
      },
    )
    // To its client this is the quota of the session, which is counted where it is refused.
    if (outcome.kind === 'busy') throw tooMany(outcome.retryIn, 'refreshSession')
    observe?.(outcome.kind)
    switch (outcome.kind) {
      case 'rotated':
      case 'repeated':
      case 'retried':
      case 'ahead':
        return issuePair(outcome.session, outcome.subject, narrowed)
      case 'reused':
        await revocationsApplied()
        throw new AppError('invalid_refresh_token', {
          reason: 'the refresh token was used before, so its session was ended',
        })
      case 'refused':
        throw new AppError('invalid_refresh_token', { reason: 'the session has ended or expired' })
    }
  }
}
