import t, { type Test } from 'tap'
import type { App } from '../../../src/http/app-type.ts'
import { bearer } from '../../support/app.ts'
import { ENGINES } from '../../support/engines.ts'
import { administer, claimsOf, refreshVerdict, type Tokens, verdict } from '../../support/front-door.ts'
import { aMoment, rounds, stillGood, type TwoNodes, times, twoNodes } from './two-nodes.ts'

// What happens to accounts and their sessions at the same time, on two nodes that share a store.

for (const engine of ENGINES) {
  t.test(engine.name, async (t) => {
    const nodes = await twoNodes(t, engine)
    await t.test('of two admins who demote each other one stays', (t) => lastAdmin(t, nodes))
    await t.test('a login during a suspension leaves no live session', (t) => loginAgainstSuspension(t, nodes))
    await t.test('logins at once leave as many sessions as are allowed', (t) => manyLogins(t, nodes))
  })
}

/** Ways in which an account stops being an admin: two by another admin, one by the admin itself. */
const GOES: ((app: App, victim: Tokens, other: Tokens) => PromiseLike<{ statusCode: number }>)[] = [
  (app, victim, other) => administer(app, other, claimsOf(victim).sub, { roles: [] }),
  (app, victim, other) => administer(app, other, claimsOf(victim).sub, { status: 'suspended' }),
  (app, victim) => app.inject({ method: 'DELETE', url: '/v1/me', headers: bearer(victim.access_token) }),
]

async function lastAdmin(t: Test, { a, b, newAccount, open }: TwoNodes) {
  let survivor = await newAccount(['admin'])
  const seen = new Set<string>()
  for (const n of times(36)) {
    const accounts = [survivor, await newAccount(['admin'])]
    const [one, other] = (await Promise.all(accounts.map((id) => open(a, id)))) as [Tokens, Tokens]
    const [first, second] = [GOES[n % 3], GOES[Math.floor(n / 3) % 3]] as [(typeof GOES)[0], (typeof GOES)[0]]
    const replies = await Promise.all([
      aMoment().then(() => first(a.app, other, one)),
      aMoment().then(() => second(b.app, one, other)),
    ])
    const [won, lost] = replies.map(({ statusCode }) => statusCode).sort() as [number, number]
    if (won >= 300) t.fail(`round ${n}: neither went: ${won}, ${lost}`)
    seen.add(String(lost))
    const sql = `SELECT id FROM accounts WHERE status = 'active' AND roles LIKE '%"admin"%'`
    const admins = await a.database.query(sql)
    if (admins.length !== 1) t.fail(`round ${n}: ${admins.length} admins are left after ${won}, ${lost}`)
    survivor = String(admins[0]?.id)
  }
  t.ok(seen.has('409'), `the second one was told why: ${[...seen]}`)
  for (const status of seen) t.match(status, /^4(01|09)$/, 'or was no admin any more')
}

async function loginAgainstSuspension(t: Test, { a, b, newAccount, open }: TwoNodes) {
  const admin = (await open(a, await newAccount(['admin']))) as Tokens
  const live: string[] = []
  const opened: Tokens[] = []
  let refused = 0
  await rounds(60, 20, async (n) => {
    const account = await newAccount()
    // A suspension has the longer way, on PostgreSQL by far: some of the logins wait for it.
    const login = aMoment(60 + 300 * (n % 4)).then(() => open(b, account))
    // On a fast machine it would be first every time: in a quarter of the rounds it waits longer.
    if (n % 4 === 0) await Promise.race([login, aMoment(3000)])
    else await aMoment()
    const { statusCode } = await administer(a.app, admin, account, { status: 'suspended' })
    if (statusCode !== 200) throw new Error(`the suspension was answered with ${statusCode}`)
    const tokens = await login
    if (tokens === undefined) {
      refused += 1
      return
    }
    opened.push(tokens)
    if ((await verdict(a.app, tokens)) === 'good') live.push('access')
    if ((await refreshVerdict(b.app, tokens)) === 'good') live.push('refresh')
    const [row] = await b.database.query(
      'SELECT COUNT(*) AS n FROM sessions WHERE account_id = $1 AND ended_at IS NULL',
      [account],
    )
    if (Number(row?.n) > 0) live.push('row')
  })
  t.same(live, [])
  t.equal(await stillGood(b, opened), 0)
  t.ok(refused > 0 && opened.length > 0, `${opened.length} logins came before the suspension, ${refused} after`)
}

async function manyLogins(t: Test, { a, b, newAccount, open }: TwoNodes) {
  const account = await newAccount()
  const allowed = a.config.MAX_SESSIONS_PER_ACCOUNT
  const tokens = await Promise.all(times(allowed + 10).map((n) => open([a, b][n % 2] as typeof a, account)))
  const verdicts = []
  for (const each of tokens) verdicts.push(await refreshVerdict(a.app, each as Tokens))
  t.equal(verdicts.filter((code) => code === 'good').length, allowed)
}
