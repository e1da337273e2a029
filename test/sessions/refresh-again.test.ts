import t from 'tap'
import { MAX_FOREIGN_REPEATS } from '../../src/sessions/judge-refresh.ts'
import { claimsOf, refresh, refreshed, refreshVerdict, serverAt, signUp, type Tokens } from '../support/front-door.ts'
import { histories } from '../support/histories.ts'

// A refresh token that was used before comes again: from a tab, after a lost answer, from a thief.

const server = await serverAt(t, 1_800_000_000)
const { app, config, database, now, pass } = server
const { history, isLive, isOver } = histories(server)
const GRACE = config.REFRESH_GRACE
const RETRY = config.REFRESH_RETRY

t.test('repeated: however many ask at once, and however many steps back', async (t) => {
  const first = await signUp(app)
  const second = await refreshed(app, first)
  const third = await refreshed(app, second)
  pass(GRACE)
  const overtaken = [first, second]
  for (let n = 0; n < 40; n += 1) {
    const repeat = await refreshed(app, overtaken[n % 2] as Tokens)
    t.equal(repeat.refresh_token, third.refresh_token, `repeat ${n}`)
  }
  t.ok(await isLive(third))
})

t.test('retried: who lost the answer gets another one, any number of times, and the lost ones are dead', async (t) => {
  const lost: Tokens[] = []
  const first = await signUp(app)
  for (const seconds of [0, GRACE + 1, 3600, RETRY]) {
    pass(seconds)
    lost.push(await refreshed(app, first))
  }
  t.equal(new Set(lost.map(({ refresh_token }) => refresh_token)).size, lost.length)
  const [dead, alive] = [lost.at(-2), lost.at(-1)] as [Tokens, Tokens]
  const next = await refreshed(app, alive)
  t.equal(await refreshVerdict(app, dead), 'invalid_refresh_token')
  t.ok(await isOver([alive, next]), 'somebody had got the lost one')
})

t.test('retried: of those who ask at the same time all get the same one', async (t) => {
  const [first, second] = (await history(1)) as [Tokens, Tokens]
  pass(GRACE + 1)
  const answers = await Promise.all(Array.from({ length: 8 }, () => refreshed(app, first)))
  const given = new Set(answers.map(({ refresh_token }) => refresh_token))
  t.equal(given.size, 1)
  t.notOk(given.has(second.refresh_token))
})

t.test('retried: only within REFRESH_RETRY, and only from the same user agent', async (t) => {
  const [late] = (await history(1)) as [Tokens]
  pass(RETRY + 1)
  t.equal(await refreshVerdict(app, late), 'invalid_refresh_token')
  const [first, second] = (await history(1)) as [Tokens, Tokens]
  pass(GRACE + 1)
  t.equal((await refresh(app, first, { userAgent: 'another' })).statusCode, 401)
  t.ok(await isOver([first, second]))
})

t.test('retried: REFRESH_RETRY=0 is never, and REFRESH_GRACE=0 leaves only the retry', async (t) => {
  const strict = await serverAt(t, 1_800_000_000, { REFRESH_GRACE: '0', REFRESH_RETRY: '0' })
  const once = await signUp(strict.app)
  const next = await refreshed(strict.app, once)
  t.equal(await refreshVerdict(strict.app, once), 'invalid_refresh_token', 'in the same second')
  t.equal(await refreshVerdict(strict.app, next), 'invalid_refresh_token')

  const { app } = await serverAt(t, 1_800_000_000, { REFRESH_GRACE: '0' })
  const first = await signUp(app)
  const lost = await refreshed(app, first)
  const again = await refreshed(app, first)
  t.not(again.refresh_token, lost.refresh_token)
  t.equal(await refreshVerdict(app, lost), 'invalid_refresh_token')
  t.equal(await refreshVerdict(app, again), 'invalid_refresh_token')
})

t.test('of an owner and a thief the second to refresh is found at the next refresh', async (t) => {
  for (const next of ['the first of them', 'the second']) {
    const stolen = await signUp(app)
    const held: Tokens[] = []
    for (const _one of ['the first of them', 'the second']) {
      pass(200)
      held.push(await refreshed(app, stolen))
    }
    pass(200)
    const [first, second] = held as [Tokens, Tokens]
    const late = next === 'the second' ? [await refreshed(app, second)] : []
    t.equal(await refreshVerdict(app, first), 'invalid_refresh_token')
    t.ok(await isOver([...held, ...late]), next)
  }
})

t.test('lock-step: two who take turns within the grace are found after a few rotations', async (t) => {
  const owner = { ip: '198.51.100.7', userAgent: 'Owner/1.0' }
  const thieves = [
    { ip: '203.0.113.9', userAgent: 'Thief/6.6' },
    { ip: '203.0.113.9', userAgent: owner.userAgent },
    { ip: owner.ip, userAgent: 'Thief/6.6' },
  ]
  for (const thief of thieves) {
    let token: Tokens = await signUp(app, owner)
    const { sid } = claimsOf(token)
    const statuses: number[] = []
    for (let step = 1; step <= MAX_FOREIGN_REPEATS; step += 1) {
      pass(600)
      const [one, two] = step % 2 === 0 ? [owner, thief] : [thief, owner]
      const next = await refreshed(app, token, one)
      pass(1)
      const { statusCode } = await refresh(app, token, two)
      statuses.push(statusCode)
      await refresh(app, token, two)
      token = next
    }
    t.same(statuses, [200, 200, 200, 401])
    t.ok(await isOver([token]))
    const rows = await database.query('SELECT event, ip, user_agent, detail FROM audit_events WHERE session_id = $1', [
      sid,
    ])
    const repeats = rows.filter(({ event }) => String(event).startsWith('refresh_token'))
    t.same(repeats.map(({ event }) => event).sort(), [
      ...Array(3).fill('refresh_token_repeated'),
      'refresh_token_reused',
    ])
    const details = repeats.map(({ detail }) => JSON.parse(String(detail)))
    t.same(details.map(({ in_a_row }) => in_a_row).sort(), [1, 2, 3, 4], 'one row for each rotation')
    const [sides] = details.map(({ last_ip, last_user_agent }, n) => [
      last_ip,
      last_user_agent,
      repeats[n]?.ip,
      repeats[n]?.user_agent,
    ])
    t.same(new Set(sides), new Set([owner.ip, owner.userAgent, thief.ip, thief.userAgent]), 'both sides')
  }
})

t.test('lock-step: no second rotation of the thief resets the count', async (t) => {
  const [owner, thief] = [{ ip: '198.51.100.7' }, { ip: '203.0.113.9' }]
  let token: Tokens = await signUp(app, owner)
  let rounds = 0
  for (; rounds < 10; rounds += 1) {
    pass(600)
    await refreshed(app, await refreshed(app, token, thief), thief)
    pass(1)
    const reply = await refresh(app, token, owner)
    if (reply.statusCode !== 200) break
    token = reply.json()
  }
  t.equal(rounds, MAX_FOREIGN_REPEATS - 1)
  t.ok(await isOver([token]))
})

t.test('lock-step: a thief who makes every refresh of the owner a retry is counted too', async (t) => {
  const [owner, thief] = [{ ip: '198.51.100.7' }, { ip: '203.0.113.9' }]
  let token: Tokens = await signUp(app, owner)
  let rounds = 0
  for (; rounds < 10; rounds += 1) {
    pass(600)
    const shown = token
    token = await refreshed(app, shown, owner)
    pass(3)
    const reply = await refresh(app, shown, thief)
    if (reply.statusCode !== 200) break
    await refreshed(app, reply.json(), thief)
  }
  t.equal(rounds, MAX_FOREIGN_REPEATS - 1)
  t.ok(await isOver([token]))
})

t.test('a thief who uses up the quota of the session does not keep its owner from finding him', async (t) => {
  const { app, pass } = await serverAt(t, 1_800_000_000, { RATE_LIMIT_REFRESH_PER_SESSION: '5' })
  const owner = await signUp(app)
  let stolen: Tokens = await refreshed(app, owner)
  pass(60)
  let reply = await refresh(app, stolen)
  for (; reply.statusCode === 200; reply = await refresh(app, stolen)) stolen = reply.json()
  t.equal(reply.statusCode, 429)
  t.equal(await refreshVerdict(app, owner), 'invalid_refresh_token', 'and not 429')
  pass(60)
  t.equal(await refreshVerdict(app, stolen), 'invalid_refresh_token')
})

t.test('a phone that changes its network between a request and its repeat goes on', async (t) => {
  const networks = ['198.51.100.7', '203.0.113.9', '2001:db8::1']
  let token: Tokens = await signUp(app)
  for (let n = 0; n < 12; n += 1) {
    pass(600)
    // Every third rotation is quiet.
    const ip = networks[n % 3] as string
    const lost = await refreshed(app, token, { ip })
    token = n % 3 === 2 ? lost : await refreshed(app, token, { ip: networks[(n + 1) % 3] as string })
  }
  t.ok(await isLive(token))
})

t.test('the row of a session keeps no more exchanges than the grace asks for', async (t) => {
  const pairs = await history(5)
  const kept = async () => {
    const sql = 'SELECT exchanged FROM sessions WHERE id = $1'
    const [row] = await database.query(sql, [claimsOf(pairs[0] as Tokens).sid])
    return String(row?.exchanged)
  }
  t.equal(await kept(), `${now()}:4,`)
  pass(GRACE)
  await refreshed(app, pairs.at(-1) as Tokens)
  t.equal(await kept(), `${now()}:5,${now() - GRACE}:4,`)

  const strict = await serverAt(t, 1_800_000_000, { REFRESH_GRACE: '0' })
  await refreshed(strict.app, await refreshed(strict.app, await signUp(strict.app)))
  t.same(await strict.database.query('SELECT exchanged FROM sessions'), [{ exchanged: '1800000000:1,' }])
})

t.test('too many at once is 429 and ends nothing, whoever shows what', async (t) => {
  const { app, pass } = await serverAt(t, 1_800_000_000, { REFRESH_GRACE: '60' })
  const first = await signUp(app)
  let token: Tokens = first
  let busy: number | undefined
  for (let n = 0; n < 400 && busy === undefined; n += 1) {
    const reply = await refresh(app, token)
    if (reply.statusCode === 200) token = reply.json()
    else {
      t.match(reply.json(), { status: 429, code: 'too_many_requests' })
      busy = Number(reply.headers['retry-after'])
    }
  }
  t.equal(busy, 60)
  t.equal((await refreshed(app, first)).refresh_token, token.refresh_token, 'the oldest one is still known')
  pass(61)
  t.equal((await refresh(app, token)).statusCode, 200, 'there is room again')
})
