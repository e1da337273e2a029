import t from 'tap'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { createAuditTrailStore } from '../../src/administration/audit-trail-store.ts'
import { migrate } from '../../src/db/migrate.ts'
import { createSessionStore } from '../../src/sessions/session-store.ts'
import { ENGINES, openNode } from '../support/engines.ts'
import { recordStatements } from '../support/recorded-statements.ts'

// A login and a refresh cost the same however many sessions there are, and however many of the account ended lately.

const NOW = 1_800_000_000
const AUDIT = { event: 'login_succeeded', source: { ip: null, userAgent: null, requestId: null } } as const
const LIMITS = { idleTtl: 60, maxTtl: 600, perAccount: 2, grace: 10, retry: 60 }

t.test(
  'sessions and accounts are found by an index, and live ones of an account without those that ended',
  async (t) => {
    const [sqlite] = ENGINES
    const database = await openNode(t, (await sqlite?.url(t)) ?? '')
    await migrate(database, () => NOW)
    const { asked, query } = recordStatements(database)
    await createAccountStore(database).insert(
      {
        id: 'acc',
        email: 'a@example.com',
        passwordHash: 'x',
        status: 'active',
        roles: [],
        tokenVersion: 0,
        createdAt: NOW,
      },
      AUDIT,
    )

    const sessions = createSessionStore(database)
    const session = {
      accountId: 'acc',
      clientId: 'signet',
      scope: '',
      createdAt: NOW,
      lastUsedAt: NOW,
      expiresAt: NOW + 60,
      ip: null,
      userAgent: null,
    }
    for (const id of ['one', 'two', 'three']) await sessions.open({ ...session, id }, 'x', LIMITS, AUDIT)
    const refresh = (now: number) =>
      sessions.refresh({ sessionId: 'three', counter: 0 }, { now, limits: LIMITS, source: AUDIT.source })
    const outcomes = [await refresh(NOW), await refresh(NOW), await refresh(NOW + 20)]
    t.same(
      outcomes.map(({ kind }) => kind),
      ['rotated', 'repeated', 'retried'],
    )
    const hashes = { from: 'x', to: 'y' }
    await sessions.changePassword(
      { accountId: 'acc', sessionId: 'three', hashes },
      { now: NOW, limits: LIMITS, audit: AUDIT },
    )
    await sessions.list('acc', NOW)
    await sessions.live({ sessionId: 'three', counter: 3 }, NOW)
    await sessions.tokenSubject('three', 'acc', NOW)
    await sessions.end({ accountId: 'acc' }, 'logout', NOW, AUDIT)
    await sessions.deleteOver(NOW - 1)

    const plans = new Map<string, string>()
    for (const { sql, params } of asked) {
      const steps = await query<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, params)
      plans.set(sql, steps.map(({ detail }) => detail).join('; '))
    }
    t.ok(plans.size > 10)
    for (const [sql, plan] of plans) t.notMatch(plan, /SCAN (sessions|accounts|s|a)\b/, sql)
    const liveOfAccount = [...plans].filter(([sql]) =>
      /FROM sessions WHERE account_id = \$1 AND ended_at IS NULL/.test(sql),
    )
    t.equal(liveOfAccount.length, 2, 'the limit of a login, and the list')
    for (const [sql, plan] of liveOfAccount) t.match(plan, 'sessions_account (account_id=? AND ended_at=?)', sql)
  },
)

t.test('the audit trail is read by time, or by account and time, and never whole', async (t) => {
  const [sqlite] = ENGINES
  const database = await openNode(t, (await sqlite?.url(t)) ?? '')
  await migrate(database, () => NOW)
  const { asked, query } = recordStatements(database)
  const { page } = createAuditTrailStore(database)
  const after = { createdAt: NOW, id: 'x' }
  for (const filter of [{}, { event: 'a' }, { clientId: 'c' }, { from: NOW, to: NOW + 60, ip: 'i' }, { actorId: 'a' }])
    for (const accountId of [undefined, 'acc'])
      for (const one of [{ limit: 51 }, { limit: 51, after }]) await page({ ...filter, accountId }, one)
  t.ok(asked.length >= 36)
  for (const { sql, params } of asked) {
    const steps = await query<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, params)
    const plan = steps.map(({ detail }) => detail).join('; ')
    const by = sql.includes('account_id =') ? 'audit_events_account (account_id=? AND at>' : 'audit_events_at (at>'
    t.match(plan, `SEARCH audit_events USING INDEX ${by}`, sql)
    t.notMatch(plan, 'TEMP B-TREE FOR ORDER BY', 'the index gives the order, so a page ends early')
  }
})
