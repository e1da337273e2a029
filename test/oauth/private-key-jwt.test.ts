import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { startApp } from '../support/app.ts'
import { assertion, clientKey, TOKEN_ENDPOINT } from '../support/assertion.ts'
import { basic, NOW, outcome, register, send } from '../support/oauth.ts'
import { registeredWith, verdict } from '../support/private-key-client.ts'

const ISSUER = 'http://127.0.0.1:3000'
const now = () => NOW

const server = await startApp(t, { now })
const rsa = clientKey('RS256')
const ec = clientKey('ES256')

t.test('an assertion is good with every algorithm that the metadata names', async (t) => {
  const metadata = (await server.app.inject('/.well-known/oauth-authorization-server')).json()
  const algs: string[] = metadata.token_endpoint_auth_signing_alg_values_supported
  t.same(algs, ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'])
  for (const alg of algs) {
    const key = alg === 'RS256' || alg === 'PS256' ? { ...rsa, alg } : clientKey(alg)
    t.equal(await verdict(server, await assertion(key, await registeredWith(server, key))), 'good', alg)
  }
  const several = await registeredWith(server, rsa, ec, clientKey('RS256'))
  t.equal(await verdict(server, await assertion(ec, several)), 'good', 'kid chooses')
  t.equal(
    await verdict(server, await assertion(ec, several, { header: { kid: undefined } })),
    'good',
    'one of its kind',
  )
  t.match(await verdict(server, await assertion(rsa, several, { header: { kid: undefined } })), /multiple/)
})

t.test('what an assertion must say', async (t) => {
  const id = await registeredWith(server, rsa)
  const other = await registeredWith(server, ec)
  const GOOD = [
    { aud: ISSUER },
    { iat: undefined },
    { exp: NOW + 305 },
    { exp: NOW - 4 },
    { jti: 'x'.repeat(255) },
    { nbf: NOW + 5 },
  ]
  for (const claims of GOOD)
    t.equal(await verdict(server, await assertion(rsa, id, { claims })), 'good', JSON.stringify(claims))
  const BAD: Record<string, unknown>[] = [
    ...['aud', 'exp', 'jti', 'iss'].map((name) => ({ [name]: undefined })),
    ...[
      { aud: [ISSUER] },
      { aud: [ISSUER, TOKEN_ENDPOINT] },
      { aud: `${ISSUER}/` },
      { aud: `${ISSUER}/oauth/introspect` },
    ],
    ...[{ aud: '' }, { aud: null }, { iss: other }, { iss: '' }],
    ...[
      { exp: NOW - 5 },
      { exp: NOW + 306 },
      { exp: NOW * 1000 },
      { exp: 1e300 },
      { exp: String(NOW + 60) },
      { exp: null },
    ],
    ...[{ iat: NOW + 6 }, { iat: 'x' }, { nbf: NOW + 6 }],
    ...[{ jti: '' }, { jti: 1 }, { jti: 'x'.repeat(256) }, { jti: ['x'] }],
  ]
  for (const claims of BAD)
    t.match(await verdict(server, await assertion(rsa, id, { claims })), /^assertion: /, JSON.stringify(claims))
  for (const sub of [undefined, '', null, [id], 'signet'])
    t.equal(await verdict(server, await assertion(rsa, id, { claims: { sub } })), 'unknown client', String(sub))
  t.match(
    await verdict(server, await assertion(rsa, id, { claims: { sub: other } })),
    /^assertion: /,
    'of another client',
  )
  t.match(await verdict(server, await assertion(ec, id)), /^assertion: /, 'with the key of another client')
  t.match(await verdict(server, await assertion(clientKey('RS256', rsa.kid), id)), /^assertion: signature/)
  for (const typ of ['at+jwt', 'logout+jwt', 'x'])
    t.match(await verdict(server, await assertion(rsa, id, { header: { typ } })), /another typ/)
  for (const typ of ['JWT', 'client-authentication+jwt', 'application/client-authentication+jwt'])
    t.equal(await verdict(server, await assertion(rsa, id, { header: { typ } })), 'good', typ)
  const unsigned = (await assertion(rsa, id)).client_assertion.split('.')
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${unsigned[1]}.`
  t.match(await verdict(server, { ...(await assertion(rsa, id)), client_assertion: none }), /^assertion: /)
})

t.test('a client has one way to show who it is', async (t) => {
  const id = await registeredWith(server, rsa)
  const withSecret = await register(server)
  t.match(await verdict(server, await assertion(rsa, withSecret.id)), 'the client has no keys')
  const reply = await send(server.app, 'token', { grant_type: 'client_credentials' }, basic(id, ''))
  t.equal(outcome(reply), 'invalid_client')
  const proof = await assertion(rsa, id)
  t.match(await verdict(server, { ...proof, client_id: withSecret.id }), /client_id is not the subject/)
  t.equal(await verdict(server, { ...proof, client_id: id }), 'good')
  await server.database.query("UPDATE clients SET status = 'disabled' WHERE id = $1", [id])
  t.match(await verdict(server, await assertion(rsa, id)), /disabled/)
})

/** The server on which a client publishes its keys. */
async function keysAt(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
}

t.test('keys at an address are fetched when they are needed, and kept', async (t) => {
  let fetched = 0
  const leaked = { kty: 'oct', k: 'c2VjcmV0', kid: 'leaked', alg: 'HS256' }
  const privateOne = clientKey('ES256')
  const keys = [rsa.jwk, leaked, { ...privateOne.privateKey.export({ format: 'jwk' }), kid: privateOne.kid }, null, 7]
  const jwks_uri = await keysAt(t, (_request, reply) => {
    fetched += 1
    reply.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }))
  })
  const { id } = await register(server, { jwks_uri })
  t.equal(fetched, 0)
  for (const _ of [1, 2, 3]) t.equal(await verdict(server, await assertion(rsa, id)), 'good')
  t.equal(fetched, 1)
  t.match(await verdict(server, await assertion(ec, id)), /no applicable key/)
  t.match(
    await verdict(server, await assertion(privateOne, id)),
    /no applicable key/,
    'a key that is no secret any more',
  )
  t.equal(fetched, 1, 'not again for every unknown kid')
})

t.test('an address that does not give keys is refused, and cannot lead elsewhere', async (t) => {
  const good = await keysAt(t, (_request, reply) => void reply.end(JSON.stringify({ keys: [rsa.jwk] })))
  const CASES: [name: string, listener: RequestListener][] = [
    ['a redirect', (_request, reply) => void reply.writeHead(302, { location: good }).end()],
    ['500', (_request, reply) => void reply.writeHead(500).end(JSON.stringify({ keys: [rsa.jwk] }))],
    ['no JSON', (_request, reply) => void reply.end('keys')],
    ['null', (_request, reply) => void reply.end('null')],
    ['no list', (_request, reply) => void reply.end('{"keys": {}}')],
    ['too large', (_request, reply) => void reply.end(JSON.stringify({ keys: [rsa.jwk], x: 'x'.repeat(70_000) }))],
    ['cut off', (request) => void request.socket.destroy()],
    ['too many', (_request, reply) => void reply.end(JSON.stringify({ keys: [...Array(32).fill(null), rsa.jwk] }))],
  ]
  for (const [name, listener] of CASES) {
    const { id } = await register(server, { jwks_uri: await keysAt(t, listener) })
    t.match(await verdict(server, await assertion(rsa, id)), /^assertion: /, name)
  }
  const { id } = await register(server, { jwks_uri: good })
  t.equal(await verdict(server, await assertion(rsa, id)), 'good')
})
