import t from 'tap'
import { MAX_FOREIGN_REPEATS } from '../../src/sessions/judge-refresh.ts'
import { claimsOf, refresh, refreshed, serverAt, signUp, type Tokens } from '../support/front-door.ts'
import { histories } from '../support/histories.ts'

// Two who take turns within the grace, and an honest app that looks like them.

const server = await serverAt(t, 1_800_000_000)
const { app, database, pass } = server
const { isLive, isOver } = histories(server)

t.test('lock-step: two agents that take turns within the grace are found after a few rotations', async (t) => {
  const owner = { ip: '198.51.100.7', userAgent: 'Owner/1.0' }
  const thieves = [
    { ip: '203.0.113.9', userAgent: 'Thief/6.6' },
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

t.test('an app that refreshes twice at once through changing networks is never logged out', async (t) => {
  let kept: Tokens = await signUp(app)
  const { sid } = claimsOf(kept)
  const network = (n: number) => ({ ip: `198.51.100.${n % 250}` })
  for (let n = 0; n < 60; n += 2) {
    pass(600)
    const answers = [await refreshed(app, kept, network(n)), await refreshed(app, kept, network(n + 1))]
    kept = answers[(n / 2) % 2] as Tokens // answers arrive in any order, and the last one is kept
  }
  t.ok(await isLive(kept))
  const sql = "SELECT detail FROM audit_events WHERE session_id = $1 AND event = 'refresh_token_repeated'"
  const counts = (await database.query(sql, [sid])).map(({ detail }) => JSON.parse(String(detail)).in_a_row)
  t.same(new Set(counts), new Set(Array.from({ length: 30 }, (_, n) => n + 1)), 'it is in the trail')
})

t.test('lock-step: no second rotation of the thief resets the count', async (t) => {
  const [owner, thief] = [{ ip: '198.51.100.7' }, { ip: '203.0.113.9' }]
  let kept: Tokens = await signUp(app, owner)
  let stolen = kept
  let rounds = 0
  for (; rounds < 10; rounds += 1) {
    pass(600)
    stolen = await refreshed(app, await refreshed(app, stolen, thief), thief)
    pass(1)
    const reply = await refresh(app, kept, owner)
    if (reply.statusCode !== 200) break
    kept = reply.json()
  }
  t.equal(rounds, MAX_FOREIGN_REPEATS)
  t.ok(await isOver([kept, stolen]))
})

t.test('lock-step: a thief who makes every refresh of the owner a retry is counted too', async (t) => {
  const [owner, thief] = [{ ip: '198.51.100.7' }, { ip: '203.0.113.9' }]
  let kept: Tokens = await signUp(app, owner)
  let stolen = kept
  let rounds = 0
  for (; rounds < 10; rounds += 1) {
    pass(600)
    const owned = await refresh(app, kept, owner)
    if (owned.statusCode !== 200) break
    kept = owned.json()
    pass(3)
    const reply = await refresh(app, stolen, thief)
    if (reply.statusCode !== 200) break
    stolen = reply.json()
    await refresh(app, stolen, thief)
  }
  t.ok(rounds <= MAX_FOREIGN_REPEATS, `${rounds} rounds`)
  t.ok(await isOver([kept, stolen]))
})
