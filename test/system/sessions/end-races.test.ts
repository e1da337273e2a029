import t, { type Test } from 'tap'
import type { App } from '../../../src/http/app-type.ts'
import { bearer } from '../../support/app.ts'
import { ENGINES } from '../../support/engines.ts'
import { administer, claimsOf, post, refresh, refreshVerdict, type Tokens, verdict } from '../../support/front-door.ts'
import { aMoment, rounds, stillGood, type TwoNodes, twoNodes } from './two-nodes.ts'

// A refresh and an end take the same row, and the end wins whichever comes first.

for (const engine of ENGINES) {
  t.test(`${engine.name}: a refresh against an end never leaves a live token`, async (t) => {
    const nodes = await twoNodes(t, engine)
    await refreshAgainstEnd(t, nodes)
  })
}

type End = (app: App, by: { admin: Tokens; tokens: Tokens; other: Tokens }) => PromiseLike<{ statusCode: number }>

/** Ways to end the session of `tokens`; `other` is another session of the account. */
const ENDS: Record<string, End> = {
  'a logout': (app, { tokens }) => post(app, '/v1/logout', {}, { token: tokens.access_token }),
  'a logout from everywhere': (app, { other }) =>
    post(app, '/v1/logout', { scope: 'all' }, { token: other.access_token }),
  'an end by its id': (app, { tokens, other }) =>
    app.inject({
      method: 'DELETE',
      url: `/v1/sessions/${claimsOf(tokens).sid}`,
      headers: bearer(other.access_token),
    }),
  'a revocation by an admin': (app, { admin, tokens }) =>
    post(app, `/v1/admin/accounts/${claimsOf(tokens).sub}/revoke`, {}, { token: admin.access_token }),
  'a suspension': (app, { admin, tokens }) => administer(app, admin, claimsOf(tokens).sub, { status: 'suspended' }),
  'a deletion of the account': (app, { other }) =>
    app.inject({ method: 'DELETE', url: '/v1/me', headers: bearer(other.access_token) }),
}
const ROUNDS = 15 // of each way, on each engine: 180 in all

async function refreshAgainstEnd(t: Test, nodes: TwoNodes) {
  const admin = (await nodes.open(nodes.a, await nodes.newAccount(['admin']))) as Tokens
  const outcomes: number[] = []
  for (const [name, end] of Object.entries(ENDS)) {
    const given: Tokens[] = []
    const live: string[] = []
    await rounds(ROUNDS, 13, async () => {
      const round = await endOnce(nodes, admin, end)
      given.push(...round.given)
      live.push(...round.live)
      outcomes.push(...round.outcomes)
    })
    t.same(live, [], name)
    t.equal(await stillGood(nodes.b, given), 0, `${name}: nor is one of them good on the other node`)
  }
  const won = outcomes.filter((status) => status === 200).length
  t.ok(won > 0 && won < outcomes.length, `${won} of ${outcomes.length} refreshes came before the end`)
}

/** One session that is refreshed on both nodes while one of them ends it; looks as soon as the end is acknowledged. */
async function endOnce({ a, b, newAccount, open }: TwoNodes, admin: Tokens, end: End) {
  const account = await newAccount()
  const [tokens, other] = [(await open(a, account)) as Tokens, (await open(b, account)) as Tokens]
  const live: string[] = []
  const mustBeOver = async (what: string, tokens: Tokens) => {
    if ((await verdict(a.app, tokens)) === 'good') live.push(`the ${what} access token`)
    if ((await refreshVerdict(b.app, tokens)) === 'good') live.push(`the ${what} refresh token`)
  }
  const refreshing = Promise.all([a, b].map(({ app }) => aMoment(40).then(() => refresh(app, tokens))))
  await aMoment()
  const { statusCode } = await end(a.app, { admin, tokens, other })
  if (statusCode >= 300) throw new Error(`the end was answered with ${statusCode}`)
  await mustBeOver('old', tokens)
  const replies = await refreshing
  const given: Tokens[] = replies.filter(({ statusCode }) => statusCode === 200).map((reply) => reply.json())
  await Promise.all(given.map((next) => mustBeOver('new', next)))
  return { given, live, outcomes: replies.map(({ statusCode }) => statusCode) }
}
