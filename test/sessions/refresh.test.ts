import t from 'tap'
import { encodeRefreshToken } from '../../src/sessions/refresh-token.ts'
import { bearer, startApp } from '../support/app.ts'
import {
  claimsOf,
  logIn,
  post,
  publicPart,
  refresh,
  refreshed,
  refreshVerdict,
  serverAt,
  signUp,
  type Tokens,
  verdict,
} from '../support/front-door.ts'
import { histories } from '../support/histories.ts'

// What a presented refresh token leads to, row by row.

const server = await serverAt(t, 1_800_000_000)
const { app, config, database, keyring, log, now, pass } = server
const { history, isLive, isOver } = histories(server)
const GRACE = config.REFRESH_GRACE

t.test('rotated: the current token gives the next pair of the same session, and both are new', async (t) => {
  const first = await signUp(app)
  pass(100)
  const reply = await refresh(app, first)
  t.equal(reply.statusCode, 200)
  t.equal(reply.headers['cache-control'], 'no-store')
  t.match(reply.json(), { token_type: 'Bearer', expires_in: config.ACCESS_TOKEN_TTL, scope: '' })
  t.same(Object.keys(reply.json()).sort(), ['access_token', 'expires_in', 'refresh_token', 'scope', 'token_type'])

  const [before, after] = [claimsOf(first), claimsOf(reply.json())]
  t.match(after, { sub: first.id, sid: before.sid, client_id: before.client_id, auth_time: before.auth_time })
  t.equal(after.iat, before.iat + 100)
  t.not(after.jti, before.jti)
  t.not(reply.json().refresh_token, first.refresh_token)
  t.equal(await verdict(app, first), 'good', 'the old access token goes on until it expires')
  t.ok(await isLive(reply.json()))
})

t.test('repeated: within the grace the same successor again, with a fresh access token', async (t) => {
  const [first, second] = (await history(1)) as [Tokens, Tokens]
  for (const seconds of [0, 1, GRACE - 1]) {
    pass(seconds)
    const repeat = await refreshed(app, first)
    t.equal(repeat.refresh_token, second.refresh_token, `after ${seconds} s more`)
    t.not(claimsOf(repeat).jti, claimsOf(second).jti)
    t.equal(await verdict(app, repeat), 'good')
  }
  t.ok(await isLive(second), 'to the last second of the grace nobody is logged out')
})

t.test('reused: an older one ends the session, even within the grace of the last exchange', async (t) => {
  for (const age of [2, 3, 5]) {
    const pairs = await history(5)
    t.equal(await refreshVerdict(app, pairs[5 - age] as Tokens), 'invalid_refresh_token')
    t.ok(await isOver(pairs), `${age} behind`)
  }
})

t.test('reused: another session of the same account goes on', async (t) => {
  const user = await signUp(app)
  const other = await logIn(app, user.email)
  const next = await refreshed(app, user)
  pass(GRACE + 1)
  t.equal((await refresh(app, user, { userAgent: 'another' })).statusCode, 401)
  t.ok(await isOver([next]))
  t.ok(await isLive(other))
})

t.test('reused: an audit row and a warning show both sides, and no token', async (t) => {
  const owner = { ip: '198.51.100.7', userAgent: 'Owner/1.0' }
  const thief = { ip: '2001:db8::bad', userAgent: 'Thief/6.6 '.repeat(100) }
  const first = await signUp(app, { ip: '198.51.100.1', userAgent: 'Login/1.0' })
  await refreshed(app, first, owner)
  pass(GRACE + 1)
  log.length = 0
  const { headers } = await refresh(app, first, thief)

  const { sid, sub } = claimsOf(first)
  const seen = { ip: thief.ip, user_agent: thief.userAgent.slice(0, 256), request_id: headers['x-request-id'] }
  const before = { last_ip: owner.ip, last_user_agent: owner.userAgent }
  const lines = log.map((line) => JSON.parse(line)).filter(({ event }) => event === 'refresh_token_reused')
  t.equal(lines.length, 1)
  t.match(lines[0], { level: 'warn', account_id: sub, session_id: sid, ...seen, ...before })
  const rows = await database.query(
    "SELECT * FROM audit_events WHERE event = 'refresh_token_reused' AND session_id = $1",
    [sid],
  )
  t.equal(rows.length, 1)
  t.match(rows[0], { at: now(), account_id: sub, ...seen, detail: JSON.stringify(before) })
  t.notOk([...log, JSON.stringify(rows)].some((text) => text.includes('srt_')))

  await refresh(app, first, thief)
  const [count] = await database.query(
    "SELECT COUNT(*) AS n FROM audit_events WHERE event = 'refresh_token_reused' AND session_id = $1",
    [sid],
  )
  t.equal(Number(count?.n), 1, 'a session is ended once')
})

t.test('every refusal is one and the same answer', async (t) => {
  const [older, previous, current] = (await history(2)) as [Tokens, Tokens, Tokens]
  const [late, , ended] = (await history(2)) as [Tokens, Tokens, Tokens]
  const [again, lost] = (await history(1)) as [Tokens, Tokens]
  pass(GRACE + 1)
  const renewed = await refreshed(app, again)
  const refused: Record<string, Tokens> = {
    forged: { ...current, refresh_token: `srt_${'A'.repeat(80)}` },
    garbage: { ...current, refresh_token: 'x' },
    'of no session': {
      ...current,
      refresh_token: encodeRefreshToken({ sessionId: 'A'.repeat(22), counter: 0 }, keyring.refreshKeys(), 1),
    },
    'older than one behind': late,
    'lost, and replaced by a retry': lost,
    'of a session that was just ended': renewed,
    'two behind': older,
    'one behind, of a session that was ended': previous,
    'the current one of a session that was ended': current,
    'of a session that was ended': ended,
  }
  const answers = new Map<string, string>()
  for (const [name, tokens] of Object.entries(refused)) answers.set(name, publicPart(await refresh(app, tokens)))
  pass(config.SESSION_IDLE_TTL)
  answers.set('expired', publicPart(await refresh(app, current)))
  t.match(answers.get('forged'), /^\[401,.*invalid_refresh_token/)
  for (const [name, answer] of answers) t.equal(answer, answers.get('forged'), name)
})

t.test('a body says which token, and nothing else: not the subject, not the scope, not the audience', async (t) => {
  const user = await signUp(app)
  const { refresh_token } = user
  const members = ['sub', 'scope', 'aud', 'audience', 'roles', 'client_id', 'sid', 'grant_type', 'exp', 'token_version']
  for (const name of members) {
    const reply = await post(app, '/v1/refresh', { refresh_token, [name]: 'admin' })
    t.equal(reply.statusCode, 400, name)
    t.equal(reply.json().code, 'validation_failed')
  }
  for (const value of [12, null, [refresh_token], { token: refresh_token }, true, '', 'a'.repeat(513)]) {
    const reply = await post(app, '/v1/refresh', { refresh_token: value })
    t.equal(reply.json().code, 'validation_failed', JSON.stringify(value)?.slice(0, 20))
  }
  t.equal((await post(app, '/v1/refresh', {})).json().code, 'invalid_refresh_token')
  t.ok(await isLive(user), 'none of that used it up')
})

t.test('a refresh token opens no route, and an access token gives no new pair', async (t) => {
  const user = await signUp(app)
  const reply = await app.inject({ url: '/v1/me', headers: bearer(user.refresh_token) })
  t.equal(reply.statusCode, 401)
  t.equal(reply.json().code, 'invalid_token')
  const swapped = await refresh(app, { refresh_token: user.access_token })
  t.ok(
    [400, 401].includes(swapped.statusCode),
    'an access token is too long, or the refresh token was not made with a key of this server',
  )
  t.ok(await isLive(user))
})

t.test('a forged token is refused without a look at the store', async (t) => {
  const { app, database, keyring } = await startApp(t)
  const user = await signUp(app)
  const { sid } = claimsOf(user)
  const stranger = [{ id: keyring.refreshKeys()[0]?.id ?? '', signFrom: 0, secret: Buffer.alloc(32) }]
  const forged = [
    'x',
    `srt_${'A'.repeat(80)}`,
    user.refresh_token.slice(0, -1),
    user.refresh_token.toUpperCase(),
    encodeRefreshToken({ sessionId: sid, counter: 0 }, stranger, 0),
  ]
  await database.close()
  for (const refresh_token of forged) {
    const reply = await refresh(app, { refresh_token })
    t.equal(reply.statusCode, 401, refresh_token)
    t.equal(reply.json().code, 'invalid_refresh_token')
  }
  const real = await refresh(app, user)
  t.equal(real.statusCode, 503, 'one of ours needs the store')
  t.equal(real.json().code, 'store_unavailable')
  t.match(real.headers['retry-after'], /^\d+$/)
})
