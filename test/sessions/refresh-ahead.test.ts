import t from 'tap'
import {
  logIn,
  refresh,
  refreshed,
  refreshVerdict,
  serverAt,
  signUp,
  type Tokens,
  verdict,
} from '../support/front-door.ts'

// The database went back, and a client has a refresh token that is newer than the row of its session.

const NOW = 1_800_000_000
const HOME = { ip: '192.0.2.9', userAgent: 'Owner/1' }

const server = await serverAt(t, NOW)
const { app, database, pass } = server

/** A person after so many refreshes, the last ones of which the database has lost. */
async function ahead(refreshes: number, lost: number) {
  const { id, ...first } = await signUp(app, HOME)
  const tokens: Tokens[] = [first]
  let row: Record<string, string | number | null> = {}
  for (let made = 0; made < refreshes; made += 1) {
    if (made === refreshes - lost) row = (await rowOf(id)) ?? {}
    tokens.push(await refreshed(app, tokens.at(-1) as Tokens, HOME))
  }
  const { counter = 0, exchanged = '', rotated_at: at = 0 } = row
  await database.query('UPDATE sessions SET counter = $2, exchanged = $3, rotated_at = $4 WHERE account_id = $1', [
    ...[id, counter],
    ...[exchanged, at],
  ])
  return { id, tokens, last: tokens.at(-1) as Tokens }
}

const rowOf = async (id: string) =>
  (await database.query('SELECT counter, exchanged, rotated_at, ended_at FROM sessions WHERE account_id = $1', [id]))[0]

t.test('it is taken, the next one works, and the trail has it once', async (t) => {
  const { id, last } = await ahead(3, 2)
  const next = await refreshed(app, last, HOME)
  t.equal(await verdict(app, next), 'good')
  t.equal(Number((await rowOf(id))?.counter), 4, 'the row goes on from there')
  t.equal(await refreshVerdict(app, await refreshed(app, next, HOME)), 'good')
  const [row, ...more] = await database.query(
    "SELECT detail, ip FROM audit_events WHERE event = 'refresh_token_ahead' AND account_id = $1",
    [id],
  )
  t.match(row, { ip: HOME.ip })
  t.same(JSON.parse(String(row?.detail)), { last_ip: HOME.ip, last_user_agent: HOME.userAgent })
  t.same(more, [])
})

t.test('sent by many tabs at once, all get the same next one', async (t) => {
  const { last } = await ahead(2, 1)
  const replies = await Promise.all([1, 2, 3, 4, 5].map(() => refresh(app, last, HOME)))
  t.same(
    replies.map(({ statusCode }) => statusCode),
    [200, 200, 200, 200, 200],
  )
  t.equal(new Set(replies.map((reply) => reply.json().refresh_token)).size, 1)
})

t.test(
  'one of the tokens between, from a tab that is late, gets the newest; after the grace it is a copy',
  async (t) => {
    const { tokens, last } = await ahead(3, 2)
    const next = await refreshed(app, last, HOME)
    t.equal((await refreshed(app, tokens[1] as Tokens, HOME)).refresh_token, next.refresh_token)
    const later = await refreshed(app, next, HOME)
    pass(60)
    t.equal(await refreshVerdict(app, tokens[1] as Tokens), 'invalid_refresh_token')
    t.equal(await refreshVerdict(app, later), 'invalid_refresh_token', 'the session ended')
  },
)

t.test('a thief who used the token of the row is found when the owner comes', async (t) => {
  const { tokens, last } = await ahead(3, 1)
  const stolen = await refreshed(app, tokens[2] as Tokens, { ip: '198.51.100.1', userAgent: 'Thief/1' })
  t.equal(
    stolen.refresh_token,
    last.refresh_token,
    'the same token as that of the owner: its text depends on the counter',
  )
  const owners = await refreshed(app, last, HOME)
  pass(60)
  await refreshed(app, owners, HOME)
  pass(60)
  t.equal(await refreshVerdict(app, stolen), 'invalid_refresh_token')
  t.equal(await refreshVerdict(app, owners), 'invalid_refresh_token', 'and the session is over')
})

const THIEF = { ip: '198.51.100.1', userAgent: 'Thief/1' }
const endOf = async (id: string) =>
  (await database.query('SELECT end_reason FROM sessions WHERE account_id = $1', [id]))[0]?.end_reason

t.test('a stolen one that a lost change of the password had killed ends the session', async (t) => {
  const { id, last } = await ahead(2, 1)
  t.equal((await refresh(app, last, THIEF)).json().code, 'invalid_refresh_token')
  t.equal(await endOf(id), 'reused')
  t.equal((await refresh(app, last, HOME)).json().code, 'invalid_refresh_token')
  const [row] = await database.query(
    "SELECT ip, detail FROM audit_events WHERE event = 'refresh_token_reused' AND account_id = $1",
    [id],
  )
  t.equal(row?.ip, THIEF.ip)
  t.same(JSON.parse(String(row?.detail)), { last_ip: HOME.ip, last_user_agent: HOME.userAgent })
})

t.test('a thief who was faster with an older one does not keep the session when the owner comes', async (t) => {
  const { id, tokens, last } = await ahead(3, 2)
  const stolen = await refreshed(app, tokens[1] as Tokens, THIEF)
  t.equal((await refresh(app, last, HOME)).json().code, 'invalid_refresh_token')
  t.equal(await endOf(id), 'reused')
  t.equal((await refresh(app, stolen, THIEF)).json().code, 'invalid_refresh_token')
})

for (const [what, from] of Object.entries({
  network: { ...HOME, ip: '203.0.113.4' },
  'user agent': { ...HOME, userAgent: 'Owner/2' },
}))
  t.test(`an owner with another ${what} goes on`, async (t) => {
    const { last } = await ahead(2, 1)
    t.equal(await verdict(app, await refreshed(app, last, from)), 'good')
  })

t.test('of a session that ended it stays refused', async (t) => {
  const { id, last } = await ahead(2, 1)
  await database.query('UPDATE sessions SET ended_at = $2 WHERE account_id = $1', [id, NOW])
  t.equal(await refreshVerdict(app, last), 'invalid_refresh_token')
  t.ok(await logIn(app, (await signUp(app)).email))
})
