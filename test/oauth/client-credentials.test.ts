import t from 'tap'
import { bearer, startApp } from '../support/app.ts'
import { claimsOf, verdict } from '../support/front-door.ts'
import { basic, clientToken, NOW, outcome, register, send, tokenOf } from '../support/oauth.ts'

const ISSUER = 'http://127.0.0.1:3000'
const now = () => NOW

const server = await startApp(t, { now })

t.test('a client gets a token for itself, and the token opens a route', async (t) => {
  const { app } = await startApp(t, { now })
  const client = await register(server)
  const reply = await clientToken(server.app, client)
  t.equal(reply.statusCode, 200, reply.body)
  t.equal(reply.headers['cache-control'], 'no-store')
  t.equal(reply.headers.pragma, 'no-cache')
  const { access_token, ...rest } = reply.json()
  t.same(rest, { token_type: 'Bearer', expires_in: 600, scope: 'read write' })
  const { jti, ...claims } = claimsOf({ access_token })
  t.same(claims, {
    iss: ISSUER,
    aud: ISSUER,
    sub: client.id,
    client_id: client.id,
    iat: NOW,
    exp: NOW + 600,
    scope: 'read write',
    token_version: 1,
  })
  t.match(client.id, /^client_[\w-]{22}$/)
  t.equal(await verdict(server.app, { access_token }), 'good')
  t.equal(outcome(await clientToken(app, client)), 'invalid_client', 'another server knows nothing of it')
  t.ok(jti)
})

t.test('lifetime and audience are those of the client', async (t) => {
  const server = await startApp(t, { now, env: { ACCESS_TOKEN_TTL: '300' } })
  const audience = ['https://a.example', 'https://b.example/path']
  const client = await register(server, { ttl: 900, audience })
  const reply = await clientToken(server.app, client)
  t.equal(reply.json().expires_in, 900)
  t.match(claimsOf(reply.json()), { exp: NOW + 900, aud: audience })
  t.equal(await verdict(server.app, reply.json()), 'invalid_token', 'it is not for this server')
  const narrow = await register(server, { audience: ['https://a.example'] })
  t.match(claimsOf({ access_token: await tokenOf(server.app, narrow) }), { exp: NOW + 300, aud: 'https://a.example' })
})

t.test('the scope is a subset of what is allowed', async (t) => {
  const client = await register(server, { scope: 'a b:c d/e' })
  const CASES: [asked: string, granted: string][] = [
    ['a', 'a'],
    ['b:c a', 'b:c a'],
    ['d/e d/e', 'd/e'],
    ['', 'a b:c d/e'],
  ]
  for (const [asked, granted] of CASES)
    t.equal((await clientToken(server.app, client, { scope: asked })).json().scope, granted, asked)
  for (const scope of ['e', 'a e', 'A', 'a  b:c', ' a', 'a ', 'a\tb:c', 'a"', 'a\\', 'é', 'a,b:c', '*'])
    t.equal(outcome(await clientToken(server.app, client, { scope })), 'invalid_scope', JSON.stringify(scope))
  const none = await register(server, { scope: '' })
  const reply = await clientToken(server.app, none)
  t.equal(reply.json().scope, '')
  t.notOk('scope' in claimsOf(reply.json()))
  t.equal(outcome(await clientToken(server.app, none, { scope: 'a' })), 'invalid_scope')
})

t.test('resource chooses among the allowed audiences', async (t) => {
  const audience = ['https://a.example', 'https://b.example', 'https://c.example']
  const client = await register(server, { audience })
  const audOf = async (resource: string[]) =>
    claimsOf({ access_token: await tokenOf(server.app, client, { resource }) }).aud
  t.equal(await audOf(['https://b.example']), 'https://b.example')
  t.same(await audOf(['https://c.example', 'https://a.example']), ['https://c.example', 'https://a.example'])
  t.equal(await audOf(['https://a.example', 'https://a.example']), 'https://a.example')
  t.same(await audOf(['']), audience, 'an empty one is none')
  for (const resource of [
    [ISSUER],
    ['https://a.example/'],
    ['https://A.example'],
    ['https://a.example#x'],
    ['https://a.example', 'https://d.example'],
    ['x'],
  ])
    t.equal(outcome(await clientToken(server.app, client, { resource })), 'invalid_target', resource.join())
  const byDefault = await register(server)
  t.equal((await clientToken(server.app, byDefault, { resource: ISSUER })).statusCode, 200)
  t.equal(outcome(await clientToken(server.app, byDefault, { resource: 'https://a.example' })), 'invalid_target')
})

t.test('the issuer as resource is the API of the server, whose tokens say AUDIENCE (RFC 8707 section 2)', async (t) => {
  const { app, database } = await startApp(t, { env: { AUDIENCE: 'api,web' } })
  const own = { app, database } as typeof server
  const audOf = async (audience: string[] | undefined, resource: string | string[]) => {
    const reply = await clientToken(app, await register(own, audience && { audience }), { resource })
    return outcome(reply) === 'good' ? claimsOf(reply.json()).aud : outcome(reply)
  }
  t.same(await audOf(undefined, ISSUER), ['api', 'web'])
  t.same(await audOf(undefined, [ISSUER, 'web']), ['api', 'web'])
  t.equal(await audOf(['web', 'https://a.example'], ISSUER), 'web', 'only as far as the client may have it')
  t.same(await audOf(['web', 'https://a.example'], ['https://a.example', ISSUER]), ['https://a.example', 'web'])
  t.equal(await audOf(['https://a.example'], ISSUER), 'invalid_target')
  t.equal(await audOf(undefined, `${ISSUER}/`), 'invalid_target')
  const admin = await register(own, { scope: 'signet:clients:read' })
  const token = await tokenOf(app, admin, { resource: ISSUER })
  t.equal((await app.inject({ url: '/v1/admin/clients', headers: bearer(token) })).statusCode, 200, 'it is taken there')
})

t.test('the largest client that can be registered gets a token that is accepted', async (t) => {
  const audience = [ISSUER, ...['a', 'b', 'c', 'd'].map((name) => name.repeat(245))]
  t.equal(JSON.stringify(audience).length <= 1024, true)
  const client = await register(server, { audience, scope: 's'.repeat(512) })
  const access_token = await tokenOf(server.app, client)
  t.equal(await verdict(server.app, { access_token }), 'good')
})

t.test('a secret is taken by Basic and by post, form-urlencoded as RFC 6749 has it', async (t) => {
  const { id, secret } = await register(server)
  const grant = { grant_type: 'client_credentials' }
  const raw = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
  const hex = [...secret].map((c) => `%${c.charCodeAt(0).toString(16)}`).join('')
  t.equal(outcome(await send(server.app, 'token', grant, raw(`${id}:${secret}`))), 'good')
  t.equal(outcome(await send(server.app, 'token', grant, raw(`${id}:${hex}`))), 'good', 'every character encoded')
  t.equal(outcome(await send(server.app, 'token', { ...grant, client_id: id }, basic(id, secret))), 'good')
  t.equal(outcome(await send(server.app, 'token', { ...grant, client_id: id, client_secret: secret })), 'good')
  const { authorization } = raw(`${id}:${secret}`)
  t.equal(outcome(await send(server.app, 'token', grant, { authorization: authorization.replace('B', 'b') })), 'good')
})

t.test('a client gets so many tokens a minute, and nobody spends them without its secret', async (t) => {
  const server = await startApp(t, { now, env: { RATE_LIMIT_TOKEN_PER_CLIENT: '2' } })
  const client = await register(server)
  const stranger = { ...client, secret: 'x'.repeat(client.secret.length) }
  for (let i = 0; i < 5; i += 1) t.equal(outcome(await clientToken(server.app, stranger)), 'invalid_client')
  for (let i = 0; i < 2; i += 1) t.equal((await clientToken(server.app, client)).statusCode, 200)
  t.match(await clientToken(server.app, client), { statusCode: 429, headers: { 'retry-after': '30' } })
  t.equal((await clientToken(server.app, await register(server))).statusCode, 200, 'another client')
})
