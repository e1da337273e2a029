import t from 'tap'
import { anotherNode } from '../support/another-node.ts'
import { startApp } from '../support/app.ts'
import { claimsOf, refresh, refreshed, refreshVerdict, signUp, verdict } from '../support/front-door.ts'
import { serverMint } from '../support/mint.ts'
import { basic, introspected, NOW, outcome, register, send, tokenOf } from '../support/oauth.ts'

const now = () => NOW

const server = await startApp(t, { now })

t.test('a refresh token ends its session, and its access tokens with it', async (t) => {
  const { app } = server
  const user = await signUp(app)
  const bystander = await signUp(app)
  const next = await refreshed(app, user)
  const reply = await send(app, 'revoke', { token: next.refresh_token })
  t.match([reply.statusCode, reply.body, reply.headers['cache-control']], [200, '', 'no-store'])
  for (const tokens of [user, next]) t.equal(await verdict(app, tokens), 'invalid_token')
  t.equal(await refreshVerdict(app, next), 'invalid_refresh_token')
  t.equal(await verdict(app, bystander), 'good')
  const [row] = await server.database.query(
    "SELECT account_id, session_id, detail FROM audit_events WHERE event = 'token_revoked'",
  )
  t.match(row, { account_id: user.id, session_id: claimsOf(user).sid })
  t.same(JSON.parse(String(row?.detail)), { client_id: 'signet', token_type: 'refresh_token' })
  t.equal(outcome(await send(app, 'revoke', { token: next.refresh_token })), 'good', 'once more')
  t.equal((await server.database.query("SELECT 1 AS one FROM audit_events WHERE event = 'token_revoked'")).length, 1)
})

t.test('an access token is withdrawn alone, at once here and soon elsewhere', async (t) => {
  const { app } = server
  const other = await anotherNode(t, server, { now })
  const user = await signUp(app)
  const next = await refreshed(app, user)
  t.equal(await verdict(other.app, user), 'good')
  const form = { token: user.access_token, client_id: 'signet', token_type_hint: 'refresh_token' }
  t.equal(outcome(await send(app, 'revoke', form)), 'good', 'a wrong hint is no hindrance')
  t.equal(await verdict(app, user), 'invalid_token')
  t.equal(await verdict(app, next), 'good', 'its sister lives')
  t.equal((await refresh(app, next)).statusCode, 200, 'and so does the session')
  const asker = await register(server)
  t.same(await introspected(other.app, asker, user.access_token), { active: false }, 'introspection sees it at once')
  t.equal(await verdict(other.app, user), 'invalid_token', 'and from then on the node knows')
  const before = await server.database.query('SELECT seq FROM revocation_head')
  t.equal(outcome(await send(app, 'revoke', form)), 'good')
  t.same(await server.database.query('SELECT seq FROM revocation_head'), before, 'a second time costs nothing')
})

t.test('a client revokes its own tokens, whatever they are for', async (t) => {
  const { app } = server
  for (const audience of [undefined, ['https://elsewhere.example']]) {
    const client = await register(server, audience && { audience })
    const token = await tokenOf(app, client)
    const sister = await tokenOf(app, client)
    t.equal(outcome(await send(app, 'revoke', { token }, basic(client.id, client.secret))), 'good')
    t.same(await introspected(app, client, token), { active: false })
    t.match(await introspected(app, client, sister), { active: true })
  }
})

t.test('a token of somebody else is left alone', async (t) => {
  const { app } = server
  const [one, two] = [await register(server), await register(server)]
  const user = await signUp(app)
  const theirs = { access_token: await tokenOf(app, two) }
  const as = basic(one.id, one.secret)
  for (const token of [theirs.access_token, user.access_token, user.refresh_token])
    t.equal(outcome(await send(app, 'revoke', { token }, as)), 'unauthorized_client')
  t.equal(outcome(await send(app, 'revoke', { token: theirs.access_token })), 'unauthorized_client', 'as nobody')
  const impostor = { token: theirs.access_token, client_id: two.id }
  t.equal(outcome(await send(app, 'revoke', impostor)), 'invalid_client', 'a client id alone is no proof')
  t.equal(outcome(await send(app, 'revoke', impostor, basic(two.id, 'scs_wrong'))), 'invalid_client')
  t.same([await verdict(app, theirs), await verdict(app, user), await refreshVerdict(app, user)], Array(3).fill('good'))
})

t.test('what is no token gets 200 and changes nothing', async (t) => {
  const server = await startApp(t, { now })
  const { app } = server
  const user = await signUp(app)
  const mint = await serverMint(server, NOW)
  const TOKENS = [
    'x',
    'srt_x',
    `srt_${'A'.repeat(80)}`,
    `${user.refresh_token}x`,
    `${user.access_token}x`,
    'a.b.c',
    'x'.repeat(10_000),
    mint.token({ claims: { exp: NOW - 100, iat: NOW - 700 } }),
    mint.token({ claims: { iss: 'https://else.example' } }),
    mint.token({ header: { typ: 'jwt' } }),
    mint.token({}, () => Buffer.alloc(256)),
    mint.token({ claims: { jti: { $ne: null } } }),
  ]
  for (const token of TOKENS) {
    const reply = await send(app, 'revoke', { token })
    t.same([reply.statusCode, reply.body], [200, ''], token.slice(0, 20))
  }
  t.same(await server.database.query('SELECT * FROM revocations'), [])
  t.same(await verdict(app, user), 'good')
  for (const form of ['', 'token=', 'token=a&token=b', 'token=a&token_type_hint=x&token_type_hint=y'])
    t.equal(outcome(await send(app, 'revoke', form)), 'invalid_request', form)
})

t.test('revoked twice at once and refreshed meanwhile, the session is over', async (t) => {
  const { app } = server
  for (let i = 0; i < 10; i += 1) {
    const user = await signUp(app)
    const form = { token: user.refresh_token }
    const [, rotated] = await Promise.all([send(app, 'revoke', form), refresh(app, user), send(app, 'revoke', form)])
    t.equal(await verdict(app, user), 'invalid_token')
    if (rotated.statusCode !== 200) continue
    t.equal(await verdict(app, rotated.json()), 'invalid_token')
    t.equal(await refreshVerdict(app, rotated.json()), 'invalid_refresh_token')
  }
})

t.test('a few access tokens of a session are revoked alone, and with the next one the session ends', async (t) => {
  let instant = NOW
  const server = await startApp(t, { now: () => instant, env: { ACCESS_TOKEN_TTL: '600' } })
  const { app, database } = server
  const bystander = await signUp(app)
  let tokens = await signUp(app)
  const { id } = tokens
  const entries = async (kind: string) =>
    (await database.query('SELECT subject FROM revocations WHERE kind = $1', [kind])).length
  const next = async () => {
    tokens = { ...tokens, ...(await refreshed(app, tokens)) }
  }
  const revoke = async () => {
    t.equal(outcome(await send(app, 'revoke', { token: tokens.access_token })), 'good')
    t.equal(await verdict(app, tokens), 'invalid_token')
  }
  for (let i = 1; i <= 5; i += 1, await next()) {
    await revoke()
    t.same([await entries('token'), await entries('session')], [i, 0])
  }
  instant += 600 // the tokens that were revoked have expired: the count begins anew
  for (let i = 0; i < 5; i += 1, await next()) await revoke()
  t.same([await entries('token'), await entries('session')], [10, 0])
  await revoke()
  t.same([await entries('token'), await entries('session')], [10, 1], 'one entry for the whole session')
  t.equal(await refreshVerdict(app, tokens), 'invalid_refresh_token')
  t.equal(await verdict(app, bystander), 'good')
  const [last] = await database.query(
    "SELECT account_id, session_id, detail FROM audit_events WHERE event = 'token_revoked' AND detail LIKE '%ended%'",
  )
  t.match(last, { account_id: id, session_id: claimsOf(tokens).sid })
  t.match(JSON.parse(String(last?.detail)), { token_type: 'access_token', ended: 'session' })
  t.equal((await database.query("SELECT 1 AS one FROM audit_events WHERE event = 'token_revoked'")).length, 11)
})

t.test('one access token that is revoked again and again, also at once, ends no session', async (t) => {
  const { app, database } = await startApp(t, { now })
  const tokens = await signUp(app)
  const next = await refreshed(app, tokens)
  const revokes = () => send(app, 'revoke', { token: tokens.access_token })
  t.same((await Promise.all(Array.from({ length: 12 }, revokes))).map(outcome), Array(12).fill('good'))
  for (let times = 0; times < 12; times += 1) t.equal(outcome(await revokes()), 'good')
  t.same([await verdict(app, tokens), await verdict(app, next)], ['invalid_token', 'good'])
  t.equal(await refreshVerdict(app, next), 'good')
  t.equal((await database.query("SELECT 1 AS one FROM audit_events WHERE event = 'token_revoked'")).length, 1)
})

t.test('all at once they are no more, and a service may revoke as many of its own as it got', async (t) => {
  const server = await startApp(t, { now, env: { REFRESH_GRACE: '60' } })
  const { app, database } = server
  let tokens = await signUp(app)
  const held = [tokens.access_token]
  for (let i = 0; i < 11; i += 1, held.push(tokens.access_token))
    tokens = { ...tokens, ...(await refreshed(app, tokens)) }
  await Promise.all(held.map((token) => send(app, 'revoke', { token })))
  const count = async (kind: string) =>
    (await database.query('SELECT subject FROM revocations WHERE kind = $1', [kind])).length
  t.same([await count('token'), await count('session')], [5, 1])
  const client = await register(server)
  for (let i = 0; i < 8; i += 1)
    await send(app, 'revoke', { token: await tokenOf(app, client) }, basic(client.id, client.secret))
  t.same([await count('token'), await count('session'), await count('client')], [13, 1, 0])
})
