import { AppError } from '../errors/app-error.ts'
import { type Limiter, tooMany } from './limiter.ts'
import { networkOf } from './network.ts'
import type { Outcome } from './password-throttle.ts'

/** True when the account has a live session from this network: it survives a restart, and the other nodes know it too. */
export type IsKnownNetwork = (accountId: string, network: string) => Promise<boolean>

/** One attempt to show a password. */
export interface PasswordAttempt {
  /** What failures are counted under. Whether such an account exists must not matter. */
  readonly account: string
  readonly ip: string | null
  /** The id of that account, if there is one. Asked only when it decides. */
  readonly accountId: () => Promise<string | undefined>
}

export interface PasswordAttempts {
  /**
   * Does work that judges a password, if account and network may try one now. A refused attempt costs no hash and says nothing of
   * the password, not even of the right one.
   *
   * @throws AppError `too_many_requests`, and whatever `work` throws; `invalid_credentials` counts as a failure
   */
  judge<T>(attempt: PasswordAttempt, work: () => Promise<T>): Promise<T>
}

export function createPasswordAttempts(parts: { limiter: Limiter; isKnownNetwork: IsKnownNetwork }): PasswordAttempts {
  const { limiter, isKnownNetwork } = parts
  return {
    async judge({ account, ip, accountId }, work) {
      const attempt = { account, network: networkOf(ip) }
      let admission = await limiter.begin(attempt)
      // Only now, when it decides: the store is not asked about every login. And it is asked the same for an account that nobody has.
      if (!admission.admitted && admission.stranger) {
        const fromKnownNetwork = await isKnownNetwork((await accountId()) ?? 'nobody', attempt.network)
        if (fromKnownNetwork) admission = await limiter.begin({ ...attempt, fromKnownNetwork })
      }
      if (!admission.admitted) throw tooMany(admission.retryIn, 'password attempts')

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
