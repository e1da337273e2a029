import { Value } from '@sinclair/typebox/value'
import { type Account, type AccountChange, type AccountStatus, Role } from '../src/accounts/account.ts'
import { type AccountStore, createAccountStore } from '../src/accounts/account-store.ts'
import { createAdminister } from '../src/accounts/administer.ts'
import { isCommonPassword } from '../src/accounts/common-passwords.ts'
import { createPasswords, hashCost, hashGate } from '../src/accounts/passwords.ts'
import { createRegister } from '../src/accounts/register.ts'
import { NOTE_NOTHING } from '../src/administration/note-refusal.ts'
import { systemClock, toTimestamp } from '../src/clock.ts'
import type { Config } from '../src/config/config.ts'
import type { Database } from '../src/db/database.ts'
import { NO_LIMITS } from '../src/limits/limiter.ts'
import { noticedDatabase } from '../src/messages/noticed-database.ts'
import { createEnqueue, enqueueNothing } from '../src/messages/outbox-store.ts'
import { accountOf, type Operating, readPassword } from './cli/account-recovery.ts'
import { afterRestore } from './cli/after-restore.ts'
import { type Command, type Input, type Result, runScript, table, UsageError } from './cli/command-line.ts'
import { recoveryCommands } from './cli/recovery-commands.ts'
import { withDatabase } from './cli/with-database.ts'

/** The source in the audit rows of this script. */
const SCRIPT = { ip: null, userAgent: 'accounts script', requestId: null }
const role = { type: 'string', multiple: true } as const

const create: Command = {
  usage: '--email <email> [--role <role>]...',
  summary: 'Create an account. The password comes from a prompt without echo, or is the first line of standard input.',
  options: { email: { type: 'string' }, role },
  optionHelp: { '--email <email>': 'address of the new account', '--role <role>': 'may be repeated' },
  examples: ['create --email ops@example.com --role admin', 'create --email bot@example.com --json < password.txt'],
  positionals: 0,
  async run({ options }) {
    const email = options.email
    if (typeof email !== 'string') throw new UsageError('--email is needed')
    const roles = rolesOf(options)
    return withAccounts(async (accounts, config) => {
      const register = createRegister({
        accounts,
        passwords: createPasswords(hashCost(config), hashGate(config)),
        minLength: config.PASSWORD_MIN_LENGTH,
        isCommon: isCommonPassword,
        limiter: NO_LIMITS,
        now: systemClock,
      })
      const account = await register({
        email,
        password: await readPassword('no account was made'),
        roles,
        source: SCRIPT,
      })
      return { json: shown(account), text: `created ${account.email} (${account.id})` }
    })
  },
}

const list: Command = {
  usage: '',
  summary: 'List all accounts, oldest first.',
  examples: ['list', 'list --json'],
  positionals: 0,
  run: () =>
    withAccounts(async (accounts) => {
      const all = (await everyAccount(accounts)).map(shown)
      const rows = all.map(({ id, email, status, roles, created_at }) => [
        email,
        status,
        roles.join(',') || '-',
        created_at,
        id,
      ])
      return {
        json: all,
        text: rows.length === 0 ? 'no accounts yet' : table(['EMAIL', 'STATUS', 'ROLES', 'CREATED', 'ID'], rows),
      }
    }),
}

const setRoles: Command = {
  usage: '<email> --role <role>... | --none',
  summary: 'Replace the roles of an account.',
  options: { role, none: { type: 'boolean' } },
  optionHelp: { '--role <role>': 'may be repeated', '--none': 'take all roles away' },
  examples: ['set-roles ops@example.com --role admin --role support', 'set-roles ops@example.com --none'],
  positionals: 1,
  async run({ positionals, options }) {
    const roles = rolesOf(options)
    if ((roles.length === 0) !== (options.none === true)) throw new UsageError('give either --role or --none')
    return change(positionals, { roles }, `roles are now ${roles.join(', ') || 'none'}`)
  },
}

const setStatus = (name: string, status: AccountStatus, summary: string): Command => ({
  usage: '<email>',
  summary,
  examples: [`${name} somebody@example.com`],
  positionals: 1,
  run: ({ positionals }) => change(positionals, { status }, `is now ${status}`),
})

const restored: Command = {
  usage: '--backup-at <time> [--dry-run]',
  summary:
    'After a backup was restored, before the servers start: end every session, and name what went back. ' +
    "Standard input: the servers' log.",
  options: { 'backup-at': { type: 'string' }, 'dry-run': { type: 'boolean' } },
  optionHelp: { '--backup-at <time>': 'when the backup was made, RFC 3339', '--dry-run': 'change nothing' },
  examples: ['after-restore --backup-at 2026-11-30T02:00:00Z --dry-run < server.log'],
  positionals: 0,
  run: (input) =>
    withNoticedDatabase((database) =>
      afterRestore(database, input, { now: systemClock, source: SCRIPT, input: process.stdin }),
    ),
}

await runScript('accounts', {
  create,
  list,
  suspend: setStatus('suspend', 'suspended', 'Suspend an account: it can no longer log in.'),
  activate: setStatus('activate', 'active', 'Let a suspended account log in again.'),
  'set-roles': setRoles,
  ...recoveryCommands({ ofAccount, shown }),
  'after-restore': restored,
})

/** Does something to the account that the first positional names. */
function ofAccount(
  [given = '']: readonly string[],
  work: (by: Operating, account: Account) => Promise<Result>,
): Promise<Result> {
  return withNoticedDatabase(async (database, config) =>
    work({ database, config, source: SCRIPT, now: systemClock }, await accountOf({ database }, given)),
  )
}

async function change(positionals: readonly string[], what: AccountChange, said: string): Promise<Result> {
  return ofAccount(positionals, async ({ database }, account) => {
    const { email } = account
    const accounts = createAccountStore(database)
    // Running servers read the change from the store, within a second.
    const administer = createAdminister({
      accounts,
      noteRefusal: NOTE_NOTHING,
      revocationsApplied: async () => undefined,
      now: systemClock,
    })
    const changed = await administer.change(
      account.id,
      { ...what, evenLastAdmin: true },
      { actorId: undefined, source: SCRIPT },
    )
    return { json: shown(changed), text: `${email}: ${said}` }
  })
}

async function everyAccount(accounts: AccountStore): Promise<Account[]> {
  const all: Account[] = []
  for (let page: Account[]; ; ) {
    page = await accounts.list({ after: all.at(-1), limit: 1000 })
    all.push(...page)
    if (page.length < 1000) return all
  }
}

function withAccounts(work: (accounts: AccountStore, config: Config) => Promise<Result>): Promise<Result> {
  return withNoticedDatabase((database, config) => work(createAccountStore(database), config))
}

/** The database of the servers, as they use it: owners are told of what a script does to their accounts. */
function withNoticedDatabase(work: (database: Database, config: Config) => Promise<Result>): Promise<Result> {
  return withDatabase('accounts', (opened, config) => {
    // Notices hold no secret until a running server composes them, so no key is needed here.
    const enqueue = config.MAIL_URL === undefined ? enqueueNothing : createEnqueue({ refreshKeys: () => [] })
    return work(noticedDatabase(opened, { enqueue, notices: config.NOTICES }), config)
  })
}

function shown({ id, email, status, roles, createdAt }: Account) {
  return { id, email, status, roles, created_at: toTimestamp(createdAt) }
}

function isRole(name: string): boolean {
  return Value.Check(Role, name)
}

function rolesOf(options: Input['options']): string[] {
  const roles = [...new Set((options.role ?? []) as string[])]
  if (roles.length > 16) throw new UsageError('an account has at most 16 roles')
  for (const name of roles) {
    if (!isRole(name))
      throw new UsageError(
        `--role ${JSON.stringify(name.slice(0, 40))}: a role is a lower-case name of at most 32 characters`,
      )
  }
  return roles
}
