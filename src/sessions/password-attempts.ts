import { createHash } from 'node:crypto'
import { normaliseEmail } from '../accounts/account.ts'
import type { AccountStore } from '../accounts/account-store.ts'
import type { OwnAccount } from '../accounts/own-account.ts'
import type { Register } from '../accounts/register.ts'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import { type Limiter, spend, tooMany } from '../limits/limiter.ts'
import { networkOf } from '../limits/network.ts'
import type { Attempt, Outcome } from '../limits/password-throttle.ts'
import type { Login } from './login.ts'
import type { SessionStore } from './session-store.ts'

interface Parts {
  readonly limiter: Limiter
  readonly accounts: Pick<AccountStore, 'byEmail'>
  readonly sessions: Pick<SessionStore, 'list'>
  readonly now: Clock
}

/** An email of any length as a short key, whether anybody has it or not: what is limited must not tell who has an account. */
export function emailKey(email: string): string {
  return createHash('sha256').update(normaliseEmail(email)).digest('base64url').slice(0, 22)
}

/** Login behind the throttle. A refused attempt costs no hash and says nothing of the password, not even of the right one. */
export function limitedLogin(login: Login, parts: Parts): Login {
  return ({ email, password }, source, isGone) => {
    const attempt = { account: emailKey(email), network: networkOf(source.ip) }
    const usual = async () => {
      const account = await parts.accounts.byEmail(normaliseEmail(email))
      return isUsual(parts, account?.id ?? 'nobody', attempt.network) // the same look for an email that nobody has
    }
    return attempted(parts.limiter, attempt, usual, () => login({ email, password }, source, isGone))
  }
}

/** The current password is guessed at like that of a login: whoever stole a token must not try ten thousand of them. */
export function limitedOwnAccount(own: OwnAccount, parts: Parts): OwnAccount {
  return {
    changePassword(caller, passwords, source, isGone) {
      const attempt = { account: caller.accountId, network: networkOf(source.ip) }
      const usual = () => isUsual(parts, caller.accountId, attempt.network)
      return attempted(parts.limiter, attempt, usual, () => own.changePassword(caller, passwords, source, isGone))
    },
    remove: own.remove,
  }
}

export function limitedRegister(register: Register, limiter: Limiter): Register {
  return async (input) => {
    await spend(limiter, 'registerEmail', emailKey(input.email))
    return register(input)
  }
}

/** A live session from this network survives a restart, and the other nodes know it too. */
async function isUsual({ sessions, now }: Parts, accountId: string, network: string): Promise<boolean> {
  const live = await sessions.list(accountId, now())
  return live.some(({ ip }) => ip !== null && networkOf(ip) === network)
}

async function attempted<T>(
  limiter: Limiter,
  attempt: Attempt,
  usual: () => Promise<boolean>,
  work: () => Promise<T>,
): Promise<T> {
  let admission = await limiter.begin(attempt)
  // Only now, when it decides: the store is not asked about every login.
  if (!admission.admitted && admission.stranger && (await usual()))
    admission = await limiter.begin({ ...attempt, usual: true })
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
}
