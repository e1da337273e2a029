import t, { type Test } from 'tap'
import type { App } from '../../../src/http/app-type.ts'
import { MAX_FOREIGN_REPEATS } from '../../../src/sessions/judge-refresh.ts'
import { sessionLimits } from '../../../src/sessions/session.ts'
import { ENGINES } from '../../support/engines.ts'
import {
  type Caller,
  claimsOf,
  refresh,
  refreshed,
  refreshVerdict,
  type Tokens,
  verdict,
} from '../../support/front-door.ts'
import { aMoment, stillGood, type TwoNodes, times, twoNodes } from './two-nodes.ts'

// What happens to a session at the same time, on two nodes that share a store.

for (const engine of ENGINES) {
  t.test(engine.name, async (t) => {
    const nodes = await twoNodes(t, engine)
    await t.test('refreshes of one token at once give one successor and no logout', (t) => oneSuccessor(t, nodes))
    await t.test('requests that overtake each other at once end nothing', (t) => overtaking(t, nodes))
    await t.test('retries of one token at once give one successor', (t) => retries(t, nodes))
    await t.test('lock-step ends a session once', (t) => lockStep(t, nodes))
    await t.test('a reuse after the grace ends the session, whatever comes with it', (t) => reuse(t, nodes))
  })
}

async function oneSuccessor(t: Test, { a, b, newAccount, open }: TwoNodes) {
  for (const atOnce of [2, 5, 11, 40]) {
    const first = (await open(a, await newAccount())) as Tokens
    const replies = await Promise.all(times(atOnce).map((n) => refresh([a, b][n % 2]?.app as App, first)))
    const good = replies.filter(({ statusCode }) => statusCode === 200).map((reply) => reply.json())
    t.equal(good.length, atOnce, `${atOnce} at once`)
    t.equal(new Set(good.map(({ refresh_token }) => refresh_token)).size, 1)
    t.equal(new Set(good.map(({ access_token }) => access_token)).size, good.length)
    for (const { app } of [a, b]) for (const tokens of good) t.equal(await verdict(app, tokens), 'good')
    t.equal((await refresh(b.app, good[0])).statusCode, 200, 'and the session goes on')
  }
}

/** Old and new tokens of a session on both nodes, in any order. */
async function overtaking(t: Test, { a, b, newAccount, open }: TwoNodes) {
  for (const _round of times(5)) {
    const first = (await open(a, await newAccount())) as Tokens
    const chain = [first]
    const statuses: number[] = []
    const show = async (n: number) => {
      await aMoment(30)
      const reply = await refresh([a, b][n % 2]?.app as App, chain[n % chain.length] as Tokens)
      statuses.push(reply.statusCode)
      if (reply.statusCode === 200) chain.push(reply.json())
    }
    for (const _wave of times(4)) await Promise.all(times(8).map(show))
    t.same(new Set(statuses), new Set([200]))
    t.equal((await refresh(b.app, first)).json().refresh_token, chain.at(-1)?.refresh_token, 'all meet at the newest')
  }
}

async function retries(t: Test, { a, b, pass, newAccount, open }: TwoNodes) {
  const first = (await open(a, await newAccount())) as Tokens
  const lost = await refreshed(a.app, first)
  pass(sessionLimits(a.config, a.database).grace + 1)
  const given = await Promise.all(times(20).map((n) => refreshed([a, b][n % 2]?.app as App, first)))
  t.equal(new Set(given.map(({ refresh_token }) => refresh_token)).size, 1)
  t.not(given[0]?.refresh_token, lost.refresh_token)
  const rows = await a.database.query("SELECT id FROM audit_events WHERE event = 'refresh_token_retried'")
  t.equal(rows.length, 1)
}

async function lockStep(t: Test, { a, b, newAccount, open }: TwoNodes) {
  let token = (await open(a, await newAccount())) as Tokens
  const thief = { ip: '203.0.113.9' }
  for (const _rotation of times(MAX_FOREIGN_REPEATS)) {
    const next = await refreshed(a.app, token)
    const replies = await Promise.all(times(6).map((n) => refresh([a, b][n % 2]?.app as App, token, thief)))
    t.equal(new Set(replies.map(({ statusCode }) => statusCode)).size, 1)
    token = next
  }
  t.equal(await refreshVerdict(b.app, token), 'invalid_refresh_token')
  const trail = `SELECT event, COUNT(*) AS n FROM audit_events
    WHERE session_id = $1 AND event LIKE 'refresh%' GROUP BY event ORDER BY event`
  const rows = await a.database.query(trail, [claimsOf(token).sid])
  t.same(
    rows.map(({ event, n }) => [event, Number(n)]),
    [
      ['refresh_token_repeated', MAX_FOREIGN_REPEATS - 1],
      ['refresh_token_reused', 1],
    ],
  )
}

async function reuse(t: Test, { a, b, pass, newAccount, open }: TwoNodes) {
  for (const _batch of times(3)) {
    const sessions = await Promise.all(
      times(20).map(async () => {
        const first = (await open(a, await newAccount())) as Tokens
        return { first, second: await refreshed(a.app, first) }
      }),
    )
    pass(sessionLimits(a.config, a.database).grace + 1)
    const given: Tokens[] = []
    await Promise.all(
      sessions.map(async ({ first, second }) => {
        const present =
          (tokens: Tokens, caller?: Caller) =>
          ({ app }: { app: App }) =>
            aMoment().then(() => refresh(app, tokens, caller))
        const copies = [a, b, a].map(present(first, { userAgent: 'Thief/6.6' }))
        const replies = await Promise.all([...copies, ...[b, a].map(present(second))])
        given.push(second, ...replies.filter(({ statusCode }) => statusCode === 200).map((reply) => reply.json()))
        t.same(
          replies.slice(0, 3).map(({ statusCode }) => statusCode),
          [401, 401, 401],
        )
      }),
    )
    const verdicts = await Promise.all(given.map((tokens) => refreshVerdict(b.app, tokens)))
    t.same([...new Set(verdicts)], ['invalid_refresh_token'])
    for (const node of [a, b]) t.equal(await stillGood(node, given), 0)
  }
  const rows = await a.database.query(
    "SELECT session_id FROM audit_events WHERE event = 'refresh_token_reused' AND user_agent = 'Thief/6.6'",
  )
  t.equal(rows.length, 60, 'one row for each')
  t.equal(new Set(rows.map(({ session_id }) => session_id)).size, 60)
}
