import { type Account, storedSpellings } from './account.ts'
import type { AccountStore } from './account-store.ts'

/**
 * The account that a person means by an email. All spellings are asked for at once, so that the work is the same
 * whether there is an account or not.
 */
export async function accountByEmail(
  accounts: Pick<AccountStore, 'byEmail'>,
  email: string,
): Promise<Account | undefined> {
  const found = await Promise.all(storedSpellings(email).map((spelling) => accounts.byEmail(spelling)))
  return found.find((account) => account !== undefined)
}
