import { normaliseEmail } from '../../src/accounts/account.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { accountByEmail } from '../../src/accounts/find-account.ts'
import { systemClock } from '../../src/clock.ts'
import { OperatorError } from '../../src/errors/app-error.ts'
import { countLiveSessions, endEverybody } from '../../src/revocations/everybody-store.ts'
import { sessionReply } from '../../src/sessions/session-reply.ts'
import { createSessionStore } from '../../src/sessions/session-store.ts'
import { type Command, table } from './command-line.ts'
import { withDatabase } from './with-database.ts'

/** The source in the audit rows of this script. */
const SCRIPT = { ip: null, userAgent: 'sessions script', requestId: null }

export const list: Command = {
  usage: '<email>',
  summary: 'List the live sessions of an account, the last used first.',
  examples: ['list somebody@example.com', 'list somebody@example.com --json'],
  positionals: 1,
  run: ({ positionals: [given = ''] }) =>
    withDatabase('sessions', async (database) => {
      const account = await accountByEmail(createAccountStore(database), given)
      if (account === undefined)
        throw new OperatorError(`there is no account ${normaliseEmail(given)}`, { hint: 'npm run accounts -- list' })
      const sessions = (await createSessionStore(database).list(account.id, systemClock())).map(sessionReply)
      const rows = sessions.map(({ id, created_at, last_used_at, expires_at, ip, user_agent }) => [
        id,
        created_at,
        last_used_at,
        expires_at,
        ip ?? '-',
        printable(user_agent ?? '-'),
      ])
      const head = ['ID', 'CREATED', 'LAST USED', 'EXPIRES', 'ADDRESS', 'USER AGENT']
      return { json: sessions, text: rows.length === 0 ? `${account.email} is logged in nowhere` : table(head, rows) }
    }),
}

export const end: Command = {
  usage: '<session id>',
  summary: 'End one session: its tokens are refused everywhere within a second.',
  examples: ['end DKGlBr70YaLRYYmb9SuxDA'],
  positionals: 1,
  id: /^-[\w-]{21}$/,
  run: ({ positionals: [id = ''] }) =>
    withDatabase('sessions', async (database) => {
      const sessions = createSessionStore(database)
      const now = systemClock()
      const session = await sessions.byId(id, now)
      const which = session && { accountId: session.accountId, id, liveOnly: true }
      const entry = { event: 'session_ended', source: SCRIPT, accountId: session?.accountId, sessionId: id } as const
      if (which === undefined || (await sessions.end(which, 'revoked', now, entry)) === 0)
        throw new OperatorError(`there is no live session ${JSON.stringify(id.slice(0, 64))}`, {
          hint: 'npm run sessions -- list <email>',
        })
      return { json: { id, ended: true }, text: `${id}: has ended` }
    }),
}

export const endAll: Command = {
  usage: '--yes',
  summary: 'End the sessions of everybody: all people have to log in again. OAuth clients go on.',
  options: { yes: { type: 'boolean' } },
  optionHelp: { '--yes': 'do it; without it the command only says what it would do, and exits with 1' },
  examples: ['end-all', 'end-all --yes'],
  positionals: 0,
  run: ({ options }) =>
    withDatabase('sessions', async (database) => {
      const now = systemClock()
      const sessions = await countLiveSessions(database, now)
      if (options.yes !== true)
        return {
          json: { ended: false, sessions },
          text: `would end ${sessions} sessions: everybody has to log in again\nnothing was changed: add --yes to do it`,
          exitCode: 1,
        }
      await endEverybody(database, now, { event: 'all_sessions_ended', source: SCRIPT, detail: { sessions } })
      return {
        json: { ended: true, sessions },
        text:
          `ended ${sessions} sessions: every server refuses all tokens of people within a second\n` +
          'tokens of OAuth clients go on (npm run clients -- disable <client id>)',
      }
    }),
}

/** The client chose it: what a terminal would obey is left out. */
const printable = (text: string) => text.replaceAll(/[^\x20-\x7e\u00a0-\u{10ffff}]/gu, '?')
