import t, { type Test } from 'tap'
import { ENGINES } from '../../support/engines.ts'
import { refresh, refreshed, refreshVerdict, type Tokens, verdict } from '../../support/front-door.ts'
import { type TwoNodes, twoNodes } from './two-nodes.ts'

// The node that sees a refresh token again has another clock than the one that wrote down when it was replaced.

const SKEW = 5
const stranger = { userAgent: 'another' }
const postgres = ENGINES.filter(({ name }) => name === 'postgres')

/** A session that was refreshed on one node, just now. */
async function replaced({ a, open, newAccount }: TwoNodes): Promise<{ first: Tokens; second: Tokens }> {
  const first = (await open(a, await newAccount())) as Tokens
  return { first, second: await refreshed(a.app, first) }
}

const nodes = (t: Test, env: Record<string, string>, ahead: number) =>
  twoNodes(t, postgres[0] as (typeof postgres)[0], { env: { CLOCK_SKEW: String(SKEW), ...env }, ahead })

for (const grace of [4, 10]) {
  t.test(`within a grace of ${grace} s no honest retry is refused, on whichever node`, async (t) => {
    const two = await nodes(t, { REFRESH_GRACE: String(grace) }, SKEW)
    const { first, second } = await replaced(two)
    two.pass(grace)
    for (const { app } of [two.b, two.a])
      t.equal((await refreshed(app, first)).refresh_token, second.refresh_token, 'the same successor again')

    two.pass(1)
    t.equal((await refresh(two.b.app, first, stranger)).statusCode, 401)
    t.equal(await refreshVerdict(two.b.app, second), 'invalid_refresh_token', 'beyond it the session is over')
    t.equal(await verdict(two.b.app, second), 'invalid_token')
  })
}

t.test('a node whose clock is behind ends the session too, only later', async (t) => {
  const two = await nodes(t, {}, -SKEW)
  const { first, second } = await replaced(two)
  two.pass(two.a.config.REFRESH_GRACE + 2 * SKEW)
  t.equal((await refreshed(two.b.app, first)).refresh_token, second.refresh_token)
  two.pass(1)
  t.equal((await refresh(two.b.app, first, stranger)).statusCode, 401)
  t.equal((await refresh(two.b.app, second)).statusCode, 401)
})

t.test('an answer that was lost is given again for as long, on whichever node', async (t) => {
  const RETRY = 100
  for (const [ahead, seconds] of [
    [SKEW, RETRY],
    [-SKEW, RETRY + 2 * SKEW],
  ] as const) {
    const two = await nodes(t, { REFRESH_RETRY: String(RETRY) }, ahead)
    const [early, late] = [await replaced(two), await replaced(two)]
    two.pass(seconds)
    t.not((await refreshed(two.b.app, early.first)).refresh_token, early.second.refresh_token)
    two.pass(1)
    t.equal((await refresh(two.b.app, late.first)).statusCode, 401)
  }
})

t.test('without a grace no clock matters: what is shown again is a lost answer, or the end', async (t) => {
  for (const ahead of [SKEW, -SKEW]) {
    const lenient = await nodes(t, { REFRESH_GRACE: '0' }, ahead)
    const { first, second } = await replaced(lenient)
    t.not((await refreshed(lenient.b.app, first)).refresh_token, second.refresh_token)

    const strict = await nodes(t, { REFRESH_GRACE: '0', REFRESH_RETRY: '0' }, ahead)
    const held = await replaced(strict)
    t.equal(await refreshVerdict(strict.b.app, held.first), 'invalid_refresh_token')
    t.equal(await refreshVerdict(strict.b.app, held.second), 'invalid_refresh_token')
  }
})
