import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { createClientStore } from '../../src/clients/client-store.ts'
import { anotherNode } from '../support/another-node.ts'
import { startApp } from '../support/app.ts'
import { clientKey } from '../support/assertion.ts'
import { claimsOf, signUp, signUpAdmin, verdict } from '../support/front-door.ts'
import { clientToken, NOW, OPERATOR, operator, outcome, register, tokenOf } from '../support/oauth.ts'
import { call } from '../support/people.ts'

const LIST = '/v1/admin/clients'
const now = () => NOW

t.test('an admin creates, lists, rotates, disables, enables and deletes clients', async (t) => {
  const server = await startApp(t, { now })
  const { app } = server
  const { access_token: token, id: actor } = await signUpAdmin(server)
  const created = await call(app, token, 'POST', LIST, { name: 'billing', scope: 'b a b' })
  t.equal(created.statusCode, 201, created.body)
  t.equal(created.headers['cache-control'], 'no-store')
  const { client_id: id, client_secret: secret, ...rest } = created.json()
  t.same(rest, {
    name: 'billing',
    scope: 'b a',
    audience: ['http://127.0.0.1:3000'],
    ttl: 600,
    token_endpoint_auth_method: 'client_secret_basic',
    status: 'active',
    created_at: '2027-01-15T08:00:00Z',
  })
  t.match(secret, /^scs_[\w-]{43}$/)
  const shown = { client_id: id, ...rest }
  t.same((await call(app, token, 'GET', LIST)).json(), { clients: [shown] }, 'the secret is shown once')
  t.same((await call(app, token, 'GET', `${LIST}/${id}`)).json(), shown)

  const rotated = await call(app, token, 'POST', `${LIST}/${id}/rotate-secret`, { overlap: 60 })
  t.match(rotated.json(), { client_id: id, client_secret: /^scs_/, previous_secret_expires_at: '2027-01-15T08:01:00Z' })
  const inject = {
    method: 'POST',
    url: `${LIST}/${id}/rotate-secret`,
    headers: { authorization: `Bearer ${token}` },
  } as const
  t.equal((await app.inject(inject)).json().previous_secret_expires_at, '2027-01-16T08:00:00Z', 'a day without a body')

  t.same((await call(app, token, 'PATCH', `${LIST}/${id}`, { status: 'disabled' })).json(), {
    ...shown,
    status: 'disabled',
  })
  t.same((await call(app, token, 'PATCH', `${LIST}/${id}`, { status: 'active' })).json(), shown)
  t.equal((await call(app, token, 'DELETE', `${LIST}/${id}`)).statusCode, 204)
  for (const [method, url, body] of [
    ['GET', `${LIST}/${id}`],
    ['DELETE', `${LIST}/${id}`],
    ['PATCH', `${LIST}/${id}`, { status: 'active' }],
    ['POST', `${LIST}/${id}/rotate-secret`, {}],
  ] as const)
    t.equal((await call(app, token, method, url, body)).json().code, 'not_found', `${method} ${url}`)

  const trail = await server.database.query(
    "SELECT event, actor_id, detail FROM audit_events WHERE event LIKE 'client_%' ORDER BY event",
  )
  t.same(
    trail.map(({ event }) => event),
    ['created', 'deleted', 'disabled', 'enabled', 'secret_rotated', 'secret_rotated'].map((what) => `client_${what}`),
  )
  for (const { actor_id, detail } of trail) t.same([actor_id, JSON.parse(String(detail))], [actor, { client_id: id }])
  const everything = server.log.join('\n') + JSON.stringify(trail)
  for (const text of [secret, rotated.json().client_secret]) t.notOk(everything.includes(text), 'no secret in the log')
})

t.test('only an admin may administer clients, and a client never may', async (t) => {
  const server = await startApp(t, { now })
  const { app } = server
  const user = await signUp(app)
  const client = await register(server)
  const token = await tokenOf(app, client)
  const CALLS = [
    ['GET', LIST],
    ['POST', LIST, { name: 'x' }],
    ['GET', `${LIST}/${client.id}`],
    ['PATCH', `${LIST}/${client.id}`, { status: 'disabled' }],
    ['DELETE', `${LIST}/${client.id}`],
    ['POST', `${LIST}/${client.id}/rotate-secret`, {}],
  ] as const
  for (const [method, url, body] of CALLS) {
    t.equal((await app.inject({ method, url, ...(body && { payload: body }) })).statusCode, 401, `${method} ${url}`)
    for (const somebody of [user.access_token, token])
      t.equal((await call(app, somebody, method, url, body)).statusCode, 403, `${method} ${url}`)
  }
  t.equal(outcome(await clientToken(app, client)), 'good', 'nothing happened')
})

t.test('what is not accepted of a new client', async (t) => {
  const server = await startApp(t, { now })
  const { access_token: token } = await signUpAdmin(server)
  const rsa = clientKey('RS256')
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })
  const ec = clientKey('ES256').jwk
  const keys = (...list: unknown[]) => ({ name: 'x', jwks: { keys: list } })
  const BAD: object[] = [
    {},
    ...['', 'x'.repeat(65), 'a\u0000b', 'a\nb', 'a\u202eb', 7].map((name) => ({ name })),
    ...['a  b', ' a', 'a"', 'é', 'a\tb', 'x'.repeat(513), ['a']].map((scope) => ({ name: 'x', scope })),
    ...[[], [''], ['a', 'a'], ['a b'], ['é'], ['x'.repeat(256)], 'a', Array(9).fill('a')].map((audience) => ({
      name: 'x',
      audience,
    })),
    { name: 'x', audience: ['a', 'b', 'c', 'd', 'e'].map((c) => c.repeat(250)) },
    ...[59, 901, 600.5, '600', null].map((ttl) => ({ name: 'x', ttl })),
    { name: 'x', client_secret: 'chosen' },
    { name: 'x', client_id: 'client_chosen' },
    { name: 'x', token_endpoint_auth_method: 'none' },
    { name: 'x', token_endpoint_auth_method: 'private_key_jwt' },
    { ...keys(rsa.jwk), token_endpoint_auth_method: 'client_secret_basic' },
    { ...keys(rsa.jwk), jwks_uri: 'https://client.example/keys' },
    ...[
      'http://client.example/keys',
      'ftp://client.example/keys',
      'file:///etc/passwd',
      'https://user:password@client.example/keys',
      'https://client.example/keys#x',
      'http://127.0.0.1.example/keys',
      'http://[::ffff:127.0.0.1]/keys',
      'keys',
    ].map((jwks_uri) => ({ name: 'x', jwks_uri })),
    keys(),
    ...[null, 'x', {}, { kty: 'RSA' }, { kty: 'oct', k: 'c2VjcmV0' }, small, p384].map((key) => keys(key)),
    keys(rsa.privateKey.export({ format: 'jwk' })),
    keys({ ...rsa.jwk, k: 'c2VjcmV0' }),
    keys({ ...rsa.jwk, use: 'enc' }),
    keys({ ...rsa.jwk, alg: 'HS256' }),
    keys({ ...rsa.jwk, alg: 'ES256' }),
    keys({ ...rsa.jwk, kty: 'EC' }),
    keys({ ...rsa.jwk, e: 'AQ' }),
    keys({ ...rsa.jwk, e: 'Aw' }),
    keys({ ...rsa.jwk, kid: 7 }),
    keys({ ...ec, x: ec.y }),
    keys({ ...ec, crv: 'Ed25519' }),
    keys(rsa.jwk, { ...ec, kid: rsa.kid }),
    keys(...Array(9).fill(rsa.jwk)),
  ]
  for (const body of BAD) {
    const reply = await call(server.app, token, 'POST', LIST, body)
    t.match([reply.statusCode, reply.json().code], [400, 'validation_failed'], JSON.stringify(body).slice(0, 120))
  }
  t.same(await server.database.query('SELECT * FROM clients'), [])
  const extra = { ...rsa.jwk, x5c: ['x'], key_ops: ['verify'], constructor: 'x' }
  const { constructor: _, ...harmless } = extra
  const reply = await call(server.app, token, 'POST', LIST, keys(harmless))
  t.same(reply.json().jwks, { keys: [rsa.jwk] }, 'only the named members of a key are kept')
  t.notOk('client_secret' in reply.json())
  const change = (body: object) => call(server.app, token, 'PATCH', `${LIST}/${reply.json().client_id}`, body)
  for (const body of [{}, { status: 'deleted' }, { status: 'active', scope: 'admin' }, { scope: 'admin' }])
    t.equal((await change(body)).json().code, 'validation_failed', JSON.stringify(body))
  const rotate = (body: object) =>
    call(server.app, token, 'POST', `${LIST}/${reply.json().client_id}/rotate-secret`, body)
  for (const body of [{ overlap: -1 }, { overlap: 30 * 86_400 + 1 }, { overlap: '1h' }, { x: 1 }])
    t.equal((await rotate(body)).json().code, 'validation_failed', JSON.stringify(body))
  t.equal((await rotate({})).json().code, 'client_without_secret')
})

t.test('pages of clients hold each of them once', async (t) => {
  const server = await startApp(t, { now })
  const { access_token: token } = await signUpAdmin(server)
  for (let i = 0; i < 101; i += 1) await register(server, { name: `client ${i}` })
  const ids: string[] = []
  for (let cursor = ''; ; ) {
    const { clients, next_cursor } = (await call(server.app, token, 'GET', `${LIST}${cursor}`)).json()
    ids.push(...clients.map(({ client_id }: { client_id: string }) => client_id))
    if (next_cursor === undefined) break
    t.equal(clients.length, 50)
    cursor = `?cursor=${next_cursor}`
  }
  t.equal(new Set(ids).size, 101)
  t.equal(ids.length, 101)
  t.equal((await call(server.app, token, 'GET', `${LIST}?cursor=x`)).json().code, 'validation_failed')
})

t.test('a disabled client gets no token anywhere, and its tokens end here at once, elsewhere soon', async (t) => {
  const server = await startApp(t, { now })
  const { app } = server
  const other = await anotherNode(t, server, { now })
  const { access_token: admin } = await signUpAdmin(server)
  const client = await register(server)
  const bystander = { access_token: await tokenOf(app, await register(server)) }
  const before = { access_token: await tokenOf(app, client) }
  const setStatus = (status: string) => call(app, admin, 'PATCH', `${LIST}/${client.id}`, { status })
  const elsewhere = async () => {
    // the feed of revocations of the other node: at the latest a quarter of a second behind
    for (let i = 0; i < 100 && (await verdict(other.app, before)) === 'good'; i += 1)
      await new Promise((resolve) => setTimeout(resolve, 20))
    return verdict(other.app, before)
  }

  t.equal(await verdict(other.app, before), 'good')
  t.equal(outcome(await clientToken(other.app, client)), 'good')
  t.equal((await setStatus('disabled')).statusCode, 200)
  t.equal(outcome(await clientToken(other.app, client)), 'invalid_client', 'the other node looks it up for each token')
  t.equal(await verdict(app, before), 'invalid_token')
  t.equal(await elsewhere(), 'invalid_token')
  t.equal(outcome(await clientToken(app, client)), 'invalid_client')
  t.equal((await setStatus('disabled')).statusCode, 200, 'once more changes nothing')

  await setStatus('active')
  t.equal(await verdict(app, before), 'invalid_token', 'a token from before stays refused')
  const after = { access_token: await tokenOf(app, client) }
  t.equal(await verdict(app, after), 'good', 'one issued in the same second, but after it, is good')
  t.equal(await verdict(other.app, after), 'good')
  t.equal(claimsOf(after).token_version, 3)
  t.equal((await setStatus('active')).statusCode, 200)
  t.equal(await verdict(app, after), 'good', 'to enable what is enabled withdraws nothing')

  await call(app, admin, 'DELETE', `${LIST}/${client.id}`)
  t.equal(await verdict(app, after), 'invalid_token')
  t.equal(outcome(await clientToken(app, client)), 'invalid_client')
  t.equal(await verdict(app, bystander), 'good')
  t.same(await server.database.query("SELECT subject, min_version FROM revocations WHERE kind = 'client'"), [
    { subject: client.id, min_version: null },
  ])
  await call(app, admin, 'DELETE', `${LIST}/client_nobody`)
  t.equal((await server.database.query("SELECT 1 AS one FROM revocations WHERE kind = 'client'")).length, 1)
})

t.test('a live route looks at the row of the client', async (t) => {
  const server = await startApp(t, {
    now,
    routes: (app) => void app.get('/live', { config: { auth: 'live', scope: ['read'] } }, () => ({ ok: true })),
  })
  const { app, database } = server
  const client = await register(server)
  const token = await tokenOf(app, client)
  const status = async () => (await call(app, token, 'GET', '/live')).statusCode
  t.equal(await status(), 200)
  await createClientStore(database).setStatus(client.id, 'disabled', NOW, {
    event: 'client_disabled',
    source: OPERATOR.source,
  })
  t.equal(await status(), 401, 'whether the revocation has arrived or not')
  await operator(server).setStatus(client.id, 'active', OPERATOR)
  t.equal(await status(), 401)
})
