import { networkOf } from '../limits/network.ts'
import { clientName } from './client-name.ts'

/** Where a login came from, as the audit trail has it. */
export interface LoginSource {
  readonly ip: string | null
  readonly userAgent: string | null
}

/** What the audit trail tells of an account before a login. */
export interface LoginHistory {
  /** Former logins, without those from before the owner last said "this was not me". */
  readonly logins: readonly LoginSource[]
  /** Logins of the same second that are not former ones. */
  readonly atOnce: readonly LoginSource[]
  /** True when the trail goes back to the making of the account, and has no former login at all. */
  readonly isFirst: boolean
}

/**
 * True when the owner should hear of a login: no former one came from this network, or none from this client. The very
 * first login of an account is no news, unless somebody else logs in at the same time.
 */
export function isNewLogin(login: LoginSource, { logins, atOnce, isFirst }: LoginHistory): boolean {
  if (logins.length === 0) return !(isFirst && atOnce.every((other) => !isNews(login, [other])))
  return isNews(login, logins)
}

function isNews(login: LoginSource, known: readonly LoginSource[]): boolean {
  const knowsNetwork = known.some(({ ip }) => networkOf(ip) === networkOf(login.ip))
  const knowsClient = known.some(({ userAgent }) => clientName(userAgent) === clientName(login.userAgent))
  return !(knowsNetwork && knowsClient)
}
