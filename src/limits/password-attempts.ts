import { AppError } from '../errors/app-error.ts'
import { type Limiter, tooMany } from './limiter.ts'
import { networkOf } from './network.ts'
import type { Outcome } from './password-throttle.ts'

/**
 * True when the account has a live session from this network. The answer comes from the store: it survives a restart,
 * and is the same on every node.
 */
export type IsKnownNetwork = (accountId: string, network: string) => Promise<boolean>

/** One attempt to give a password, at a login or a change of password. */
export interface PasswordAttempt {
  /** The key under which failures are counted. It must not depend on whether such an account exists. */
  readonly account: string
  readonly ip: string | null
  /** The id of that account, if there is one. Called only when the decision depends on it. */
  readonly accountId: () => Promise<string | undefined>
  /** Called when the attempt is refused unseen, before the error is thrown: for the audit trail. */
  readonly onThrottled?: () => Promise<void>
}

export interface PasswordAttempts {
  /**
   * Runs `work`, which checks a password, if this account and network may try one now. A refused attempt costs no hash
   * and reveals nothing about the password, not even that it is the right one.
   *
   * @throws AppError `too_many_requests` with Retry-After, and whatever `work` throws; `invalid_credentials` counts as
   *   a failure
   */
  judge<T>(attempt: PasswordAttempt, work: () => Promise<T>): Promise<T>
}

export function createPasswordAttempts(parts: { limiter: Limiter; isKnownNetwork: IsKnownNetwork }): PasswordAttempts {
  const { limiter, isKnownNetwork } = parts
  return {
    async judge({ account, ip, accountId, onThrottled }, work) {
      const attempt = { account, network: networkOf(ip) }
      let admission = await limiter.begin(attempt)
      // The store is asked only here, where the answer decides, and not at every login. It is asked in the same way for
      // an account that does not exist, so that the time of the answer does not tell the two apart.
      if (!admission.admitted && admission.stranger) {
        const fromKnownNetwork = await isKnownNetwork((await accountId()) ?? 'nobody', attempt.network)
        if (fromKnownNetwork) admission = await limiter.begin({ ...attempt, fromKnownNetwork })
      }
      if (!admission.admitted) {
        await onThrottled?.()
        throw tooMany(admission.retryIn, 'password attempts')
      }

      let outcome: Outcome = 'void'
      try {
        const result = await work()
        outcome = 'succeeded'
        return result
      } catch (error) {
        if (error instanceof AppError && error.code === 'invalid_credentials') outcome = 'failed'
        throw error
      } finally {
        await limiter.end(admission.ticket, outcome)
      }
    },
  }
}
