import type { Account } from '../accounts/account.ts'
import { normaliseEmail } from '../accounts/account.ts'
import { type AccountStore, createAccountStore } from '../accounts/account-store.ts'
import { accountByEmail } from '../accounts/find-account.ts'
import type { RequestSource } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import type { Database, Statement } from '../db/database.ts'
import type { LiveKeyring } from '../keys/live-keyring.ts'
import type { Caused, Compose, Composed, Composers, Facts } from '../messages/message.ts'
import { createComposeNotice } from './compose-notice.ts'
import { createLinks } from './links.ts'
import { mintOneTimeToken, type Purpose } from './one-time-token.ts'
import { boundToOf, storeToken } from './one-time-token-store.ts'

/** What composers are made of: the same in a server, in the primary of several workers, and in tests. */
export interface ComposerParts {
  readonly config: Config
  /** Commits of this one write audit log lines. */
  readonly database: Database
  readonly keyring: Pick<LiveKeyring, 'refreshKeys'>
  readonly now: Clock
}

/** Without an `Accept-Language`, and without a language of the account. */
const ANY_LANGUAGE = 'en'

/**
 * The composers of all kinds of messages. Only here it is decided whether anybody gets a message: the request that
 * causes it does not look, so that its answer and its time are the same for every address.
 */
export function createComposers({ config, database, keyring }: ComposerParts): Composers {
  const accounts = createAccountStore(database)
  const links = createLinks(config)
  const keys = () => keyring.refreshKeys()

  /** A message with a token and a code for this account. */
  const withToken = (
    caused: Caused,
    now: number,
    by: { account: Account; purpose: Purpose; to: string; link: (token: string) => string; also?: Statement[] },
  ): Composed => {
    const { account, purpose, to, link, also = [] } = by
    const boundTo = boundToOf(purpose, account)
    const email = normaliseEmail(to) // as it is looked up with a code
    const { row, token, code } = mintOneTimeToken({ purpose, accountId: account.id, email, boundTo, keys: keys(), now })
    const data = { link: link(token), token, code, until: String(row.expiresAt), when: String(caused.createdAt) }
    return { to, language: languageFor(account, caused), data, statements: [...storeToken(row), ...also] }
  }

  const recovery: Compose = async (caused, now) => {
    const account = await accountOf(accounts, caused)
    if (account?.status !== 'active') return 'drop'
    const entry = { event: 'recovery_sent', source: sourceOf(caused.facts), accountId: account.id } as const
    const also = [auditRow(entry, now)]
    return withToken(caused, now, { account, purpose: 'recovery', to: account.email, link: links.recover, also })
  }

  const registration: Compose = async (caused, now) => {
    const account = await accountOf(accounts, caused)
    if (account?.status !== 'active' || !account.awaitsConfirmation) return 'drop'
    return withToken(caused, now, { account, purpose: 'registration', to: account.email, link: links.confirmEmail })
  }

  const registrationRepeated: Compose = async (caused) => {
    const account = await accountOf(accounts, caused)
    if (account?.status !== 'active' || account.awaitsConfirmation) return 'drop'
    const data = { when: String(caused.createdAt) }
    return { to: account.email, language: languageFor(account, caused), data, statements: [] }
  }

  const invitation: Compose = async (caused, now) => {
    const account = await accountOf(accounts, caused)
    if (account?.status !== 'active') return 'drop'
    return withToken(caused, now, { account, purpose: 'invitation', to: account.email, link: links.recover })
  }

  const emailChange: Compose = async (caused, now) => {
    const account = await accountOf(accounts, { ...caused, facts: {} })
    const { email = '', boundTo } = caused.facts
    if (account?.status !== 'active' || account.needsRecovery) return 'drop'
    // Whoever asked knew a password, or had an address, that is no longer that of the account.
    if (boundTo !== boundToOf('email_change', account)) return 'drop'
    const holder = await accountByEmail(accounts, email)
    // Of an address that somebody has, nobody learns anything: not who asked, and not its owner.
    if (holder !== undefined && holder.id !== account.id) {
      const entry = { event: 'email_change_failed', source: sourceOf(caused.facts), accountId: account.id } as const
      return { drop: [auditRow({ ...entry, detail: { reason: 'somebody has the address' } }, now)] }
    }
    return withToken(caused, now, { account, purpose: 'email_change', to: email, link: links.confirmEmail })
  }

  /** Its token was made with the change: the address is held for its former owner from that moment on. */
  const emailChangeNotice: Compose = async (caused) => {
    const { email = '', token = '', until = '' } = caused.facts
    const account = await accountOf(accounts, { ...caused, facts: {} })
    if (account === undefined) return 'drop'
    const data = { link: links.notMe(token), token, until, when: String(caused.createdAt) }
    return { to: email, language: languageFor(account, caused), data, statements: [] }
  }

  return {
    recovery,
    registration,
    registration_repeated: registrationRepeated,
    invitation,
    email_change: emailChange,
    email_change_notice: emailChangeNotice,
    notice: createComposeNotice({ database, notices: config.NOTICES, keys, linkOf: links.notMe }),
  }
}

/** The account that a message is for: by the id, or by the address that somebody named. */
async function accountOf(accounts: AccountStore, { accountId, facts }: Caused): Promise<Account | undefined> {
  if (facts.email !== undefined) return accountByEmail(accounts, facts.email)
  return accountId === null ? undefined : accounts.byId(accountId)
}

function languageFor({ locale }: Account, { facts }: Caused): string {
  return locale ?? facts.language ?? ANY_LANGUAGE
}

/** Browsers send far less. The rest of a longer one would only fill the outbox. */
const MAX_LANGUAGE_CHARACTERS = 256

/** What the cause of a message tells its composer of the request. */
export function factsOf({ ip, userAgent }: RequestSource, language: string | undefined): Facts {
  return {
    ...(language !== undefined && { language: language.slice(0, MAX_LANGUAGE_CHARACTERS) }),
    ...(ip !== null && { ip }),
    ...(userAgent !== null && { client: userAgent }),
  }
}

function sourceOf({ ip = null, client = null }: { ip?: string | null; client?: string | null }): RequestSource {
  return { ip, userAgent: client, requestId: null }
}
