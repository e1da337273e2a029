import t, { type Test } from 'tap'
import type { App } from '../../../src/http/app-type.ts'
import { MAX_REPEATS, sessionLimits } from '../../../src/sessions/session.ts'
import { ENGINES } from '../../support/engines.ts'
import { refresh, refreshed, refreshVerdict, type Tokens, verdict } from '../../support/front-door.ts'
import { aMoment, stillGood, type TwoNodes, times, twoNodes } from './two-nodes.ts'

// What happens to a session at the same time, on two nodes that share a store.

for (const engine of ENGINES) {
  t.test(engine.name, async (t) => {
    const nodes = await twoNodes(t, engine)
    await t.test('refreshes of one token at once give one successor and no logout', (t) => oneSuccessor(t, nodes))
    await t.test('a reuse after the grace ends the session, whatever comes with it', (t) => reuse(t, nodes))
  })
}

async function oneSuccessor(t: Test, { a, b, newAccount, open }: TwoNodes) {
  for (const atOnce of [2, 5, MAX_REPEATS + 1, 40]) {
    const first = (await open(a, await newAccount())) as Tokens
    const replies = await Promise.all(times(atOnce).map((n) => refresh([a, b][n % 2]?.app as App, first)))
    const good = replies.filter(({ statusCode }) => statusCode === 200).map((reply) => reply.json())
    t.equal(good.length, Math.min(atOnce, MAX_REPEATS + 1), `${atOnce} at once`)
    t.equal(new Set(good.map(({ refresh_token }) => refresh_token)).size, 1)
    t.equal(new Set(good.map(({ access_token }) => access_token)).size, good.length)
    for (const { app } of [a, b]) for (const tokens of good) t.equal(await verdict(app, tokens), 'good')
    t.equal((await refresh(b.app, good[0])).statusCode, 200, 'and the session goes on')
  }
}

async function reuse(t: Test, { a, b, pass, newAccount, open }: TwoNodes) {
  for (const _batch of times(3)) {
    const sessions = await Promise.all(
      times(20).map(async () => {
        const first = (await open(a, await newAccount())) as Tokens
        return { first, second: await refreshed(a.app, first) }
      }),
    )
    pass(sessionLimits(a.config, a.database).reusedAfter + 1)
    const given: Tokens[] = []
    await Promise.all(
      sessions.map(async ({ first, second }) => {
        const present =
          (tokens: Tokens) =>
          ({ app }: { app: App }) =>
            aMoment().then(() => refresh(app, tokens))
        const replies = await Promise.all([...[a, b, a].map(present(first)), ...[b, a].map(present(second))])
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
  const rows = await a.database.query("SELECT session_id FROM audit_events WHERE event = 'refresh_token_reused'")
  t.equal(rows.length, 60, 'one row for each')
  t.equal(new Set(rows.map(({ session_id }) => session_id)).size, 60)
}
