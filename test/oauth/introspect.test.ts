import t from 'tap'
import { anotherNode } from '../support/another-node.ts'
import { startApp } from '../support/app.ts'
import { administer, claimsOf, post, signUp, signUpAdmin } from '../support/front-door.ts'
import { serverMint } from '../support/mint.ts'
import { basic, introspected, NOW, OPERATOR, operator, outcome, register, send, tokenOf } from '../support/oauth.ts'

const now = () => NOW

const server = await startApp(t, { now })
const INACTIVE = { active: false }
/** A client that is an API for people: it was given the audience of the server. */
const API = { audience: [...server.config.AUDIENCE] }

t.test('a good token is described by its own claims', async (t) => {
  const { app } = server
  const api = await register(server, { name: 'api', ...API })
  const user = await signUpAdmin(server)
  const { id, secret } = api
  const reply = await send(app, 'introspect', { token: user.access_token }, basic(id, secret))
  t.match([reply.statusCode, reply.headers['cache-control']], [200, 'no-store'])
  t.same(reply.json(), { active: true, token_type: 'Bearer', ...claimsOf(user) })
  t.match(reply.json(), { roles: ['admin'], client_id: 'signet', sub: user.id })
  const token = await tokenOf(app, api, { scope: 'read' })
  const own = await introspected(app, api, token)
  t.match(own, { active: true, scope: 'read', client_id: id, sub: id, token_type: 'Bearer', exp: NOW + 600, iat: NOW })
  for (const token_type_hint of ['access_token', 'refresh_token', 'x'])
    t.match((await send(app, 'introspect', { token, token_type_hint }, basic(id, secret))).json(), { active: true })
})

t.test('only a client that the token is for, or was issued to, gets its claims', async (t) => {
  const { app } = server
  const a = await register(server, { audience: ['https://a.example'] })
  const ab = await register(server, { audience: ['https://a.example', 'https://b.example'] })
  const b = await register(server, { audience: ['https://b.example'] })
  const ours = await register(server, API)
  const none = await register(server)
  const another = await register(server)
  const user = await signUp(app)
  const forAB = await tokenOf(app, ab)
  const forB = await tokenOf(app, ab, { resource: 'https://b.example' })
  const CASES: [string, typeof a, boolean][] = [
    [forAB, a, true],
    [forAB, b, true],
    [forAB, ab, true],
    [forAB, ours, false],
    [forB, a, false],
    [forB, b, true],
    [user.access_token, a, false],
    [user.access_token, ours, true],
    [user.refresh_token, ours, false],
    [user.access_token, none, false],
    [await tokenOf(app, another), none, false],
    [await tokenOf(app, ours), none, false],
    [await tokenOf(app, none), none, true],
    [await tokenOf(app, none), ours, true],
  ]
  for (const [index, [token, asker, active]] of CASES.entries()) {
    const answer = await introspected(app, asker, token)
    t.equal(answer.active, active, String(index))
    if (!active) t.same(answer, INACTIVE)
  }
  await server.database.query(`UPDATE clients SET audience = '["https://c.example"]' WHERE id = $1`, [ab.id])
  t.equal((await introspected(app, ab, forB)).active, true, 'his own, whatever he may have tokens for today')
  t.equal((await introspected(app, ab, user.access_token)).active, false)
})

t.test('the caller must show who it is', async (t) => {
  const client = await register(server)
  const token = await tokenOf(server.app, client)
  t.equal(outcome(await send(server.app, 'introspect', { token })), 'invalid_client')
  t.equal(outcome(await send(server.app, 'introspect', { token, client_id: 'signet' })), 'invalid_client')
  t.equal(outcome(await send(server.app, 'introspect', { token, client_id: client.id })), 'invalid_client')
  const bearer = { authorization: `Bearer ${token}` }
  t.equal(outcome(await send(server.app, 'introspect', { token }, bearer)), 'invalid_client')
  t.equal(outcome(await send(server.app, 'introspect', '', basic(client.id, client.secret))), 'invalid_request')
})

t.test('what is revoked, stale, expired or no token is inactive, and nothing more is said', async (t) => {
  let instant = NOW
  const server = await startApp(t, { now: () => instant })
  const { app } = server
  const other = await anotherNode(t, server, { now: () => instant })
  const asker = await register(server, API)
  const admin = await signUpAdmin(server)
  const active = async (token: string) => {
    const answer = await introspected(other.app, asker, token)
    if (!answer.active) t.same(answer, INACTIVE)
    return answer.active
  }
  const loggedOut = await signUp(app)
  const promoted = await signUp(app)
  const suspended = await signUp(app)
  const disabled = await register(server)
  const ofDisabled = await tokenOf(app, disabled)
  for (const { access_token } of [loggedOut, promoted, suspended]) t.equal(await active(access_token), true)
  t.equal(await active(ofDisabled), true)

  // The other node is asked as soon as this one has answered: introspection there must see the change at once.
  await post(app, '/v1/logout', {}, { token: loggedOut.access_token })
  t.equal(await active(loggedOut.access_token), false)
  await administer(app, admin, promoted.id, { roles: ['support'] })
  t.equal(await active(promoted.access_token), false)
  await administer(app, admin, suspended.id, { status: 'suspended' })
  t.equal(await active(suspended.access_token), false)
  await operator(server).setStatus(disabled.id, 'disabled', OPERATOR)
  t.equal(await active(ofDisabled), false)

  const mint = await serverMint(server, NOW)
  for (const token of [
    'x',
    'a.b.c',
    'x'.repeat(10_000),
    mint.token({ header: { kid: 'constructor' } }),
    mint.token({ header: { typ: 'jwt' } }),
    mint.token({ header: { alg: 'PS256' } }),
    mint.token({}, () => Buffer.alloc(256)),
    mint.token({ claims: { aud: undefined } }),
    mint.token({ claims: { exp: NOW + 5000 } }),
    mint.token({ claims: { cnf: {} } }),
    mint.token({ claims: Buffer.from('not json') }),
  ])
    t.equal(await active(token), false)
  const good = mint.token()
  t.equal(await active(good), true)
  instant += 606
  t.equal(await active(good), false, 'expired')
})

t.test('without the store the answer is 503: nobody knows what was revoked', async (t) => {
  const other = await anotherNode(t, server, { now })
  const { id, secret } = await register(server)
  const token = await tokenOf(server.app, { id, secret } as never)
  other.link.cut = true
  const reply = await send(other.app, 'introspect', { token }, basic(id, secret))
  t.match([reply.statusCode, reply.json()], [503, { error: 'temporarily_unavailable' }])
})
