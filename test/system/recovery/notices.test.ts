import { pino } from 'pino'
import type { Test } from 'tap'
import t from 'tap'
import { createAccountStore } from '../../../src/accounts/account-store.ts'
import type { AuditEntry } from '../../../src/audit/audit.ts'
import { auditRow } from '../../../src/audit/audit-store.ts'
import { loadConfig } from '../../../src/config/config.ts'
import { NOTICES } from '../../../src/config/message-settings.ts'
import type { Database } from '../../../src/db/database.ts'
import { migrate } from '../../../src/db/migrate.ts'
import type { ComposedLetter } from '../../../src/messages/message.ts'
import { noticedDatabase } from '../../../src/messages/noticed-database.ts'
import { openSender } from '../../../src/messages/open-sender.ts'
import { createEnqueue } from '../../../src/messages/outbox-store.ts'
import { createComposeNotice } from '../../../src/recovery/compose-notice.ts'
import { createSessionStore } from '../../../src/sessions/session-store.ts'
import { ENGINES, type Engine, openNode } from '../../support/engines.ts'
import { recordStatements } from '../../support/recorded-statements.ts'

// Which audit events become messages to the owner of an account, on each database: SQL decides about it.

const START = 1_800_000_000
const KEYS = [{ id: 'k', signFrom: 0, secret: Buffer.alloc(32) }]
const LIMITS = { idleTtl: 3600, maxTtl: 36_000, perAccount: 50, grace: 10, retry: 60 }
const HOME = { ip: '192.0.2.1', userAgent: 'Shop/1.0', requestId: null }
const THIEF = { ip: '198.51.100.1', userAgent: 'Thief/1.0', requestId: null }

/** A store with one account, and the sender of its notices. */
async function scene(t: Test, engine: Engine) {
  const clock = { now: START }
  const now = () => clock.now
  const config = loadConfig({ env: { DATABASE_URL: await engine.url(t), MAIL_URL: 'file:unused' } })
  const database = await openNode(t, config.DATABASE_URL)
  await migrate(database, now)
  const noticed = noticedDatabase(database, { enqueue: createEnqueue({ refreshKeys: () => KEYS }), notices: NOTICES })
  const account = { id: 'acc', email: 'a@example.com', passwordHash: 'x', status: 'active', roles: [], tokenVersion: 0 }
  const registered: AuditEntry = { event: 'account_registered', source: HOME, accountId: 'acc' }
  await createAccountStore(noticed).insert({ ...account, status: 'active', createdAt: START }, registered)
  const composed: ComposedLetter[] = []
  const notice = createComposeNotice({ database, notices: NOTICES, keys: () => KEYS, linkOf: (token) => `#${token}` })
  const sender = await openSender({
    config,
    database,
    keyring: { refreshKeys: () => KEYS },
    logger: pino({ level: 'silent' }),
    now,
    composers: {
      async notice(caused, at) {
        const letter = await notice(caused, at)
        if (letter !== 'drop' && 'to' in letter) composed.push(letter)
        return letter
      },
    },
    transport: { deliver: async () => ({}), close: () => undefined },
  })
  let logins = 0
  return {
    database,
    noticed,
    clock,
    logIn(source = HOME, at = now()) {
      const id = `s${++logins}`
      const { ip, userAgent } = source
      const times = { createdAt: at, lastUsedAt: at, expiresAt: at + 60 }
      const session = { id, accountId: 'acc', clientId: 'signet', scope: '', ...times, ip, userAgent }
      const entry: AuditEntry = { event: 'login_succeeded', source, accountId: 'acc', sessionId: id }
      return createSessionStore(noticed).open(session, 'x', LIMITS, entry)
    },
    record: (event: AuditEntry['event'], source = THIEF, accountId: string | undefined = 'acc') =>
      noticed.transaction([auditRow({ event, source, accountId }, now())]),
    rows: async () => (await database.query("SELECT id FROM outbox WHERE kind = 'notice'")).length,
    /** Sends what waits. @returns what it told of, and of whom */
    async told(): Promise<string[]> {
      composed.length = 0
      await sender?.sendDue()
      return composed.map(({ text, data }) => `${text}: ${data.client}`)
    },
  }
}

for (const engine of ENGINES) {
  t.test(engine.name, async (t) => {
    const { noticed, database, clock, logIn, record, rows, told } = await scene(t, engine)

    await t.test('the first login is no news, nor is another like it, nor an update of the client', async (t) => {
      await logIn()
      await logIn()
      clock.now += 1
      await logIn({ ...HOME, userAgent: 'Shop/1.1' })
      t.same(await told(), [])
      const before = await rows()
      await logIn()
      t.equal(await rows(), before, 'a login as before does not even write a row')
    })

    await t.test('a row that is not written leads to nothing, and callers see the results of their own', async (t) => {
      const before = await rows()
      const entry: AuditEntry = { event: 'password_changed', source: HOME, accountId: 'acc' }
      const never = { exists: 'SELECT 1 FROM accounts WHERE id = $1', params: ['nobody'] }
      const one = { sql: 'SELECT 1 AS one' }
      t.same(await noticed.transaction([one, auditRow(entry, clock.now, never), one]), [[{ one: 1 }], [], [{ one: 1 }]])
      await t.rejects(noticed.transaction([auditRow(entry, clock.now), { sql: 'SELECT * FROM nowhere' }]))
      await record('logout')
      t.equal(await rows(), before)
    })

    await t.test('two logins at once from a new place are one notice at least, whichever came first', async (t) => {
      for (let round = 1; round <= 6; round += 1) {
        clock.now += 3601
        const thief = { ...THIEF, userAgent: `Thief${round}/1` }
        // The clock of one node may be ahead.
        await Promise.all([logIn(thief, clock.now + (round % 2)), logIn(thief)])
        clock.now += 1
        t.ok((await told()).includes(`notice-login: Thief${round}`), `round ${round}`)
      }
    })

    await t.test('what an attacker causes takes no place of what he would like to hide', async (t) => {
      clock.now += 3601
      for (let n = 1; n <= 40; n += 1) await logIn({ ...THIEF, userAgent: `Flood${'x'.repeat(n)}/1` })
      await record('login_throttled')
      for (const event of ['refresh_token_reused', 'account_suspended', 'refresh_token_reused'] as const)
        await record(event)
      for (let n = 1; n <= 4; n += 1) await record(n === 2 ? 'email_changed' : 'password_changed')
      const texts = (await told()).map((one) => one.split(':')[0])
      const count = (name: string) => texts.filter((text) => text === `notice-${name}`).length
      t.equal(count('login') + count('wrong_passwords'), 3)
      t.equal(count('session_ended') + count('account_suspended'), 2)
      t.equal(count('password_changed') + count('email_changed'), 3)
      t.equal(texts.length, 8)
      clock.now += 3601
      await record('password_changed')
      t.same(await told(), ['notice-password_changed: Thief'], 'an hour later there is room again')
    })

    await t.test('wrong passwords are told of once an hour; an unknown email leads to no row', async (t) => {
      clock.now += 3601
      const before = await rows()
      for (let n = 0; n < 3; n += 1) await record('login_throttled')
      await record('reauthentication_throttled')
      await noticed.transaction([auditRow({ event: 'login_throttled', source: THIEF }, clock.now)])
      t.equal(await rows(), before + 1)
      t.same(await told(), ['notice-wrong_passwords: Thief'])
      clock.now += 3601
      await record('login_throttled')
      t.same(await told(), ['notice-wrong_passwords: Thief'])
    })

    await t.test('after "this was not me" every place is new again', async (t) => {
      clock.now += 3601
      await logIn()
      t.same(await told(), [])
      await record('account_disowned', HOME)
      clock.now += 1
      await logIn()
      t.same(await told(), ['notice-login: Shop'])
    })

    await t.test('when the trail does not go back to the making of the account, a login is news', async (t) => {
      clock.now += 3601
      await database.query('DELETE FROM audit_events WHERE at < $1', [clock.now])
      await logIn()
      t.same(await told(), ['notice-login: Shop'])
    })

    await t.test('rows of one account have a bound, and no way to it reads whole tables', async (t) => {
      clock.now += 3601
      const before = await rows()
      for (let n = 0; n < 35; n += 1) await record('password_changed')
      t.equal((await rows()) - before, 30)
      if (engine.name === 'sqlite') await usesIndexes(t, database, noticed, clock.now)
    })
  })
}

/** Every statement of a login and of a notice finds its rows by an index. */
async function usesIndexes(t: Test, database: Database, noticed: Database, now: number) {
  const { asked, query } = recordStatements(database)
  for (const event of ['login_succeeded', 'login_throttled'] as const)
    await noticed.transaction([auditRow({ event, source: HOME, accountId: 'acc' }, now)])
  const notice = createComposeNotice({ database, notices: NOTICES, keys: () => KEYS, linkOf: String })
  const caused = await query("SELECT audit_id FROM outbox WHERE kind = 'notice'")
  for (const { audit_id: auditId } of caused)
    await notice(
      { id: 'm', kind: 'notice', accountId: 'acc', auditId: String(auditId), createdAt: now, facts: {} },
      now,
    )
  const plans = new Set<string>()
  for (const { sql, params } of asked) {
    const steps = await query<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, params)
    for (const { detail } of steps) plans.add(detail)
  }
  t.ok([...plans].some((step) => step.includes('audit_events_account')))
  t.ok([...plans].some((step) => step.includes('outbox_account')))
  for (const step of plans) t.notMatch(step, /SCAN (?!CONSTANT ROW|recent|\(subquery|caused)/, step)
}
