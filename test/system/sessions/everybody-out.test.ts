import t, { type Test } from 'tap'
import { createAccountStore } from '../../../src/accounts/account-store.ts'
import { type Database, storeUnavailable } from '../../../src/db/database.ts'
import { endEverybody } from '../../../src/revocations/everybody-store.ts'
import { createRevocationStore } from '../../../src/revocations/revocation-store.ts'
import { ENGINES, openNode } from '../../support/engines.ts'
import {
  claimsOf,
  logIn,
  refresh,
  refreshed,
  refreshVerdict,
  signUp,
  signUpAdmin,
  type Tokens,
  verdict,
} from '../../support/front-door.ts'
import { introspected, register, tokenOf } from '../../support/oauth.ts'
import { call, NOBODY } from '../../support/people.ts'
import { aMoment, rounds, stillGood, type TwoNodes, times, twoNodes } from './two-nodes.ts'

// An operator ends the sessions of everybody, on a connection of the script's own. The clock of the two nodes stands:
// whoever logs in again does so in the same second.

const MINUTE = 60
const AHEAD = 4

async function world(t: Test, engine: (typeof ENGINES)[number]) {
  const url = await engine.url(t)
  const nodes = await twoNodes(t, { ...engine, url: async () => url }, { ahead: AHEAD })
  const script = await openNode(t, url)
  const entry = { event: 'all_sessions_ended', source: NOBODY, detail: { sessions: 0 } } as const
  const everybodyOut = () => endEverybody(script, nodes.now(), entry)
  const both = [nodes.a, nodes.b]
  const client = await register(nodes.a)
  /** Resolves when both nodes have what was committed before: introspection waits for that. */
  const applied = () => Promise.all(both.map(({ app }) => introspected(app, client, 'no token')))
  return { nodes, both, script, everybodyOut, applied }
}

/** The whole feed of a node. */
async function feedOf(app: TwoNodes['a']['app']) {
  const { body } = await app.inject('/.well-known/revocations')
  return { body, claims: JSON.parse(Buffer.from(body.split('.')[1] ?? '', 'base64url').toString()) }
}

const rowsOf = async (database: TwoNodes['a']['database'], event: string) =>
  database.query('SELECT account_id, detail FROM audit_events WHERE event = $1', [event])

for (const engine of ENGINES) {
  t.test(engine.name, async (t) => {
    const shared = await world(t, engine)
    await t.test(`everybody is out on both nodes, and who logs in again in that second is in`, async (t) => {
      const { nodes, both, everybodyOut } = shared
      const { a, b } = nodes
      const admin = await signUpAdmin(a) // whose versions went further
      const people = [admin, await signUp(a.app), await signUp(a.app)]
      const ofAhead = await logIn(b.app, people[1]?.email ?? '')
      const newest = await refreshed(a.app, people[2] as Tokens)
      const before = [...people, ofAhead, newest]
      for (const tokens of before) t.equal(await verdict(a.app, tokens), 'good')
      const client = await register(a)
      const service = await tokenOf(a.app, client)

      await everybodyOut()
      t.equal(await stillGood(a, before), 0, 'on the one node')
      t.equal(await stillGood(b, before), 0, 'on the other one, also the token from a clock that is ahead')
      for (const tokens of before) {
        t.equal(await verdict(b.app, tokens), 'invalid_token')
        for (const { app } of both) t.equal(await refreshVerdict(app, tokens), 'invalid_refresh_token')
      }
      for (const { app } of both) t.equal((await introspected(app, client, service)).active, true, 'a service goes on')

      for (const { app } of both) {
        const again = await logIn(app, admin.email)
        t.equal(claimsOf(again).iat - nodes.now(), app === b.app ? AHEAD : 0, 'in the same second')
        for (const { app } of both) t.equal(await verdict(app, again), 'good')
        t.equal((await call(a.app, again.access_token, 'GET', '/v1/admin/accounts')).statusCode, 200, 'live too')
        t.equal(await verdict(b.app, await refreshed(app, again)), 'good')
      }
      t.equal(await verdict(b.app, await signUp(a.app)), 'good', 'a new account is above the floor')
    })

    await t.test(
      `who logs in for the first time long after is above the floor, also when it is remembered`,
      async (t) => {
        const { nodes, both, script, everybodyOut } = shared
        const { a, newAccount, open, pass } = nodes
        const [late, other] = [await newAccount(), await newAccount()]
        const before = (await open(a, other)) as Tokens
        await everybodyOut()
        t.equal(await stillGood(a, [before]), 0)
        pass(20 * MINUTE)
        await createRevocationStore(script).deleteExpired(nodes.now())
        const tokens = (await open(a, late)) as Tokens
        const floor = claimsOf(tokens).token_version
        t.ok(floor > claimsOf(before).token_version)
        // One change later, and everybody out once more.
        await createAccountStore(script).revoke(late, nodes.now(), { event: 'account_revoked', source: NOBODY })
        const changed = (await open(a, late)) as Tokens
        t.equal(claimsOf(changed).token_version, floor + 1)
        const untouched = (await open(a, other)) as Tokens
        t.equal(claimsOf(untouched).token_version, floor)
        for (const { app } of both) t.equal(await verdict(app, changed), 'good')
        await everybodyOut()
        for (const node of both) t.equal(await stillGood(node, [tokens, changed, untouched]), 0)
        const [again, first] = [(await open(a, late)) as Tokens, (await open(a, await newAccount())) as Tokens]
        for (const { app } of both) for (const one of [again, first]) t.equal(await verdict(app, one), 'good')
      },
    )

    await t.test(`logins and refreshes at that very moment: each is out as a whole, or in as a whole`, async (t) => {
      const { nodes, everybodyOut, applied } = shared
      const halves: string[] = []
      const seen = { in: 0, out: 0 }
      await rounds(15, 1, async () => {
        const given = await atOnce(nodes, everybodyOut)
        await applied()
        for (const tokens of given) {
          const access = await verdict(nodes.a.app, tokens)
          const next = await refreshVerdict(nodes.a.app, tokens)
          if ((access === 'good') !== (next === 'good')) halves.push(`${access}, ${next}`)
          seen[next === 'good' ? 'in' : 'out'] += 1
        }
      })
      t.same(halves, [])
      t.ok(seen.in > 0 && seen.out > 0, JSON.stringify(seen))
    })

    await t.test(`a clock that was set back lifts the floor all the same`, async (t) => {
      const { nodes, both, script, everybodyOut, applied } = await world(t, engine)
      const account = await nodes.newAccount()
      const versions: number[] = []
      const logInAgain = async () => {
        const tokens = (await nodes.open(nodes.a, account)) as Tokens
        versions.push(claimsOf(tokens).token_version)
        await applied()
        for (const { app } of both) t.equal(await verdict(app, tokens), 'good')
      }
      for (const step of [-3600, 0, -60]) {
        await everybodyOut()
        await applied()
        nodes.pass(step)
        await everybodyOut() // nobody has logged in since the one before
        await logInAgain()
        const revoked = { event: 'account_revoked', source: NOBODY } as const
        for (const _ of times(10)) await createAccountStore(script).revoke(account, nodes.now(), revoked)
        await logInAgain()
      }
      t.same(
        versions,
        [...new Set(versions)].sort((one, other) => one - other),
        'each is higher',
      )
    })
  })

  t.test(`${engine.name}: a thousand sessions are one entry of the feed, and one event`, async (t) => {
    const { nodes, script, everybodyOut, applied } = await world(t, engine)
    const { a, newAccount, open } = nodes
    const tokens = (await open(a, await newAccount())) as Tokens
    const copies = times(999).map((n) => `('s${n}')`)
    await script.query(
      `INSERT INTO sessions (id, account_id, client_id, scope, created_at, last_used_at, rotated_at, expires_at,
                             max_expires_at, counter, repeats)
       SELECT copy.column1, account_id, client_id, scope, created_at, last_used_at, rotated_at, expires_at,
              max_expires_at, counter, repeats FROM sessions CROSS JOIN (VALUES ${copies.join(', ')}) AS copy`,
    )
    const { seq } = (await feedOf(a.app)).claims
    await everybodyOut()
    await applied()
    t.equal(await verdict(a.app, tokens), 'invalid_token')
    const { claims, body } = await feedOf(a.app)
    t.same([claims.sessions, claims.accounts, claims.tokens], [[], {}, []])
    t.match(claims.clients, { signet: Number })
    t.equal(Object.keys(claims.clients).length, 1)
    t.equal(claims.seq, seq + 2, 'it is raised twice: before the sessions end, and with their end')
    t.ok(body.length < 1000, `the whole feed has ${body.length} bytes`)
    t.equal((await rowsOf(script, 'all_sessions_ended')).length, 1)
    t.same(await rowsOf(script, 'session_ended'), [])
    const [left] = await script.query('SELECT COUNT(*) AS n FROM sessions WHERE ended_at IS NULL')
    t.equal(Number(left?.n), 0)
  })

  t.test(
    `${engine.name}: when the sessions can not be ended, the tokens are refused, and the operator is told`,
    async (t) => {
      const { nodes, both, script, everybodyOut } = await world(t, engine)
      const [account, returning] = [await nodes.newAccount(), await nodes.newAccount()]
      const tokens = (await nodes.open(nodes.a, account)) as Tokens
      const stolen = (await nodes.open(nodes.a, returning)) as Tokens
      let transactions = 0
      const failing: Database = {
        ...script,
        engine: script.engine,
        transaction(statements, notify) {
          transactions += 1
          return transactions === 1 ? script.transaction(statements, notify) : Promise.reject(storeUnavailable('away'))
        },
      }
      const entry = { event: 'all_sessions_ended', source: NOBODY } as const
      await t.rejects(endEverybody(failing, nodes.now(), entry), {
        message: /^all tokens of people are refused for 17 minutes, but their sessions could not be ended$/,
        hint: /^run it again/,
      })
      const next = await refreshed(nodes.a.app, tokens)
      for (const node of both) t.equal(await stillGood(node, [tokens, next]), 0, 'also what a refresh brings')
      t.equal((await rowsOf(script, 'all_sessions_ended')).length, 1)
      // Who logs in is in, and brings no older session of the account back: it may be a thief's.
      const back = (await nodes.open(nodes.b, returning)) as Tokens
      t.equal(await verdict(nodes.a.app, back), 'good')
      t.equal(await refreshVerdict(nodes.a.app, stolen), 'invalid_refresh_token')
      const second = (await nodes.open(nodes.a, returning)) as Tokens
      for (const one of [back, second]) t.equal(await verdict(nodes.b.app, await refreshed(nodes.a.app, one)), 'good')
      await everybodyOut()
      t.equal(await refreshVerdict(nodes.b.app, next), 'invalid_refresh_token')
    },
  )

  t.test(`${engine.name}: a session of another client has an entry of its own`, async (t) => {
    const { nodes, script, everybodyOut, applied } = await world(t, engine)
    const [one, two] = [await nodes.newAccount(), await nodes.newAccount()]
    const [direct, other] = [(await nodes.open(nodes.a, one)) as Tokens, (await nodes.open(nodes.a, two)) as Tokens]
    const { sid } = claimsOf(other)
    await script.query("UPDATE sessions SET client_id = 'client_x' WHERE id = $1", [sid])
    await everybodyOut()
    await applied()
    for (const tokens of [direct, other]) t.equal(await verdict(nodes.a.app, tokens), 'invalid_token')
    const { claims } = await feedOf(nodes.a.app)
    t.same(claims.sessions, [sid])
  })
}

/** Ten people who log in and ten who refresh, on both nodes, while everybody is thrown out. */
async function atOnce({ a, b, newAccount, open }: TwoNodes, everybodyOut: () => Promise<void>) {
  const accounts = await Promise.all(times(20).map(() => newAccount()))
  const before = await Promise.all(accounts.slice(10).map(async (id) => (await open(a, id)) as Tokens))
  const logins = accounts.slice(0, 10).map(async (id, n) => {
    await aMoment(60)
    return (await open(n % 2 ? a : b, id)) as Tokens
  })
  const refreshes = before.map(async (tokens, n) => {
    await aMoment(60)
    const reply = await refresh((n % 2 ? a : b).app, tokens)
    return reply.statusCode === 200 ? [reply.json() as Tokens] : []
  })
  await aMoment(30)
  await everybodyOut()
  return [...(await Promise.all(logins)), ...(await Promise.all(refreshes)).flat()]
}
