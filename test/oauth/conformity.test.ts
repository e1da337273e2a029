import { createPrivateKey } from 'node:crypto'
import * as oauth from 'oauth4webapi'
import t, { type Test } from 'tap'
import { startApp, type TestServer } from '../support/app.ts'
import { clientKey } from '../support/assertion.ts'
import { signUp } from '../support/front-door.ts'
import { register } from '../support/oauth.ts'

// A client library that others wrote to the RFCs starts from our metadata. So what it accepts conforms to them.

const PORT = 20_000 + (process.pid % 20_000)
const insecure = { [oauth.allowInsecureRequests]: true }

/** A server at its own issuer, found by discovery. */
async function discovered(t: Test): Promise<{ server: TestServer; as: oauth.AuthorizationServer; issuer: string }> {
  for (let port = PORT; ; port += 1) {
    const issuer = `http://127.0.0.1:${port}`
    const server = await startApp(t, { env: { PORT: String(port), FEED_TTL: '60' } })
    const listening = await server.app.listen({ port, host: '127.0.0.1' }).catch(() => undefined)
    if (listening === undefined) continue // somebody else has it
    const found = await oauth.discoveryRequest(new URL(issuer), { ...insecure, algorithm: 'oauth2' })
    return { server, issuer, as: await oauth.processDiscoveryResponse(new URL(issuer), found) }
  }
}

t.test('oauth4webapi discovers, gets tokens with every method, introspects, revokes and refreshes', async (t) => {
  const { server, as } = await discovered(t)
  const { id, secret } = await register(server)
  const keys = ['RS256', 'ES256', 'Ed25519'].map((alg) => clientKey(alg))
  const WAYS: [name: string, id: string, way: oauth.ClientAuth][] = [
    ['client_secret_basic', id, oauth.ClientSecretBasic(secret)],
    ['client_secret_post', id, oauth.ClientSecretPost(secret)],
  ]
  for (const { alg, kid, privateKey, jwk } of keys) {
    const name = { RS256: 'RSASSA-PKCS1-v1_5', ES256: 'ECDSA', Ed25519: 'Ed25519' }[alg] ?? ''
    const key = await crypto.subtle.importKey(
      'pkcs8',
      createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })).export({ type: 'pkcs8', format: 'der' }),
      { name, hash: 'SHA-256', namedCurve: 'P-256' },
      false,
      ['sign'],
    )
    const client = await register(server, { jwks: { keys: [jwk] } })
    WAYS.push([`private_key_jwt ${alg}`, client.id, oauth.PrivateKeyJwt({ key, kid })])
  }
  for (const [name, client_id, way] of WAYS) {
    const client = { client_id }
    const granted = await oauth.processClientCredentialsResponse(
      as,
      client,
      await oauth.clientCredentialsGrantRequest(as, client, way, { scope: 'read' }, insecure),
    )
    t.match(granted, { token_type: 'bearer', scope: 'read', expires_in: 600 }, name)
    const look = async () =>
      oauth.processIntrospectionResponse(
        as,
        client,
        await oauth.introspectionRequest(as, client, way, granted.access_token, insecure),
      )
    t.match(await look(), { active: true, client_id, sub: client_id, scope: 'read', iss: as.issuer }, name)
    const jwt = new Request(as.issuer, { headers: { authorization: `Bearer ${granted.access_token}` } })
    t.match(await oauth.validateJwtAccessToken(as, jwt, as.issuer, insecure), { client_id }, 'RFC 9068')
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(as, client, way, granted.access_token, insecure),
    )
    t.match(await look(), { active: false }, name)
  }
  const person = { client_id: 'signet' }
  const user = await signUp(server.app)
  const refresh = (token: string) => oauth.refreshTokenGrantRequest(as, person, oauth.None(), token, insecure)
  const next = await oauth.processRefreshTokenResponse(as, person, await refresh(user.refresh_token))
  t.ok(next.refresh_token)
  const refused = oauth.processRefreshTokenResponse(as, person, await refresh('srt_x'))
  t.match(await refused.catch((error) => error), { error: 'invalid_grant', status: 400 }, 'an error it can read')
})

t.test('oauth4webapi finds the issuer from the address of the API alone (RFC 9728)', async (t) => {
  const { issuer } = await discovered(t)
  const asked = await oauth.resourceDiscoveryRequest(new URL(issuer), insecure)
  const resource = await oauth.processResourceDiscoveryResponse(new URL(issuer), asked)
  t.match(resource, { resource: issuer, authorization_servers: [issuer] })
})

t.test('every endpoint that the metadata names is there and does what it says', async (t) => {
  const { server, issuer } = await discovered(t)
  const reply = await fetch(`${issuer}/.well-known/oauth-authorization-server`)
  t.match(Object.fromEntries(reply.headers), {
    'content-type': /^application\/json/,
    'cache-control': 'public, max-age=3600',
    'access-control-allow-origin': '*',
  })
  const metadata = (await reply.json()) as Record<string, string & string[]>
  t.equal(metadata.issuer, issuer)
  const visited = new Set<string>()
  const visit = (name: string, init?: RequestInit) => {
    visited.add(name)
    return fetch(metadata[name] ?? '', init)
  }
  t.match(await (await visit('jwks_uri')).json(), { keys: [{ kty: 'RSA', alg: 'RS256' }] })
  t.match(await (await visit('signet_openapi')).json(), { openapi: '3.1.0' })
  t.match((await visit('service_documentation')).headers.get('content-type'), /text\/html/)
  t.match(await (await visit('signet_revocation_feed')).text(), /^[\w-]+\.[\w-]+\.[\w-]+$/)

  const { id, secret } = await register(server)
  const key = clientKey('ES256')
  const signer = await register(server, { jwks: { keys: [key.jwk] } })
  for (const endpoint of ['token', 'revocation', 'introspection']) {
    const methods = metadata[`${endpoint}_endpoint_auth_methods_supported`] ?? []
    for (const method of ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none']) {
      const { headers, members } = await shown(method)
      const form = new URLSearchParams({ token: 'x', grant_type: 'refresh_token', refresh_token: 'srt_x', ...members })
      const answer = await visit(`${endpoint}_endpoint`, { method: 'POST', body: form, headers })
      const { error } = answer.status === 401 ? ((await answer.json()) as { error: string }) : { error: 'none' }
      t.equal(error !== 'invalid_client', methods.includes(method as never), `${endpoint} ${method}`)
    }
  }
  for (const grant_type of ['client_credentials', 'refresh_token', 'password', 'authorization_code']) {
    const body = new URLSearchParams({ grant_type, client_id: id, client_secret: secret, refresh_token: 'srt_x' })
    const { error } = (await (await visit('token_endpoint', { method: 'POST', body })).json()) as { error?: string }
    t.equal(
      error !== 'unsupported_grant_type',
      metadata.grant_types_supported?.includes(grant_type as never),
      grant_type,
    )
  }
  t.same(metadata.response_types_supported, [])
  for (const query of ['', '?response_type=code&client_id=signet&redirect_uri=https%3A%2F%2Fevil.example&state=x']) {
    const refused = await fetch(`${metadata.authorization_endpoint}${query}`, { redirect: 'manual' })
    t.equal(refused.status, 400)
    t.equal(refused.headers.get('location'), null, 'nobody is sent anywhere (RFC 6749 section 4.1.2.1)')
    t.match(await refused.json(), { error: 'unsupported_response_type' })
  }
  visited.add('authorization_endpoint')
  const addresses = Object.entries(metadata).filter(
    ([name, value]) => name !== 'issuer' && String(value).startsWith('http'),
  )
  t.same(addresses.map(([name]) => name).sort(), [...visited].sort(), 'each was called')

  async function shown(method: string): Promise<{ headers: Record<string, string>; members: Record<string, string> }> {
    const basic = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
    if (method === 'client_secret_basic') return { headers: { authorization: basic }, members: {} }
    if (method === 'client_secret_post') return { headers: {}, members: { client_id: id, client_secret: secret } }
    if (method === 'none') return { headers: {}, members: { client_id: 'signet' } }
    const { SignJWT } = await import('jose')
    const at = Math.floor(Date.now() / 1000)
    const claims = { iss: signer.id, sub: signer.id, aud: issuer, exp: at + 60, jti: `${Math.random()}` }
    const text = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: key.kid }).sign(key.privateKey)
    const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
    return { headers: {}, members: { client_assertion: text, client_assertion_type: type } }
  }
})

t.test('the metadata names the scopes of the server, and those of SCOPES_SUPPORTED', async (t) => {
  const own = ['accounts:read', 'accounts:write', 'clients:read', 'clients:write', 'audit:read'].map(
    (name) => `signet:${name}`,
  )
  for (const [env, scopes] of [
    [{}, own],
    [{ SCOPES_SUPPORTED: 'invoices:read, tools' }, ['invoices:read', 'tools', ...own]],
  ] as const) {
    const { app } = await startApp(t, { env })
    t.same((await app.inject('/.well-known/oauth-authorization-server')).json().scopes_supported, scopes)
  }
})

t.test('an issuer with a path is found where RFC 8414 puts it', async (t) => {
  const { app } = await startApp(t, { env: { ISSUER: 'https://example.com/auth/one' } })
  const url = '/.well-known/oauth-authorization-server'
  for (const path of [url, `${url}/auth/one`])
    t.match((await app.inject(path)).json(), { issuer: 'https://example.com/auth/one' }, path)
  t.equal((await app.inject(`${url}/auth`)).statusCode, 404)
})
