import fc from 'fast-check'
import t from 'tap'
import { AppError } from '../../src/errors/app-error.ts'
import { problemResponse } from '../../src/errors/problem.ts'
import { type DescribedResource, protectedResource } from '../../src/tokens/protected-resource.ts'
import { newUser, startApp } from '../support/app.ts'

const ISSUER = 'https://auth.example.com'
const described = (resource: string, more: Partial<DescribedResource> = {}) =>
  protectedResource({ resource, authorizationServers: [ISSUER], ...more })
const refusal = (resource: unknown, more: object = {}) => {
  try {
    return described(resource as string, more) && 'accepted'
  } catch (error) {
    return error instanceof TypeError ? error.message : `no TypeError: ${error}`
  }
}

t.test('the metadata is at the well-known part between host and path (RFC 9728 section 3.1)', async (t) => {
  for (const [resource, url] of [
    ['https://api.example.com', 'https://api.example.com/.well-known/oauth-protected-resource'],
    ['https://api.example.com/', 'https://api.example.com/.well-known/oauth-protected-resource'],
    ['https://api.example.com/mcp', 'https://api.example.com/.well-known/oauth-protected-resource/mcp'],
    ['https://api.example.com/a/b/', 'https://api.example.com/.well-known/oauth-protected-resource/a/b/'],
    ['https://api.example.com:8443/a%20b', 'https://api.example.com:8443/.well-known/oauth-protected-resource/a%20b'],
    ['http://127.0.0.1:3000/mcp', 'http://127.0.0.1:3000/.well-known/oauth-protected-resource/mcp'],
    ['http://[::1]:3000', 'http://[::1]:3000/.well-known/oauth-protected-resource'],
    ['http://localhost', 'http://localhost/.well-known/oauth-protected-resource'],
  ] as const) {
    const made = described(resource)
    t.equal(made.url, url)
    t.equal(made.path, new URL(url).pathname)
    t.same(made.body, {
      resource, // to the letter: clients compare it so (section 3.3)
      authorization_servers: [ISSUER],
      bearer_methods_supported: ['header'],
    })
  }
  const scopesSupported = ['tools:read', 'tools:call']
  t.match(described(`${ISSUER}/x`, { scopesSupported, resourceName: 'Tools "é"' }).body, {
    scopes_supported: scopesSupported,
    resource_name: 'Tools "é"',
  })
  t.same(described(`${ISSUER}/x`, { scopesSupported: [] }).body.scopes_supported, [])
})

t.test('the address leads back to the resource, for any path', async () => {
  const segment = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom(...'abcXYZ019-._~%@;+=&,!$\'"é "') })
  const path = fc.array(segment, { maxLength: 5 }).map((segments) => segments.map((one) => `/${one}`).join(''))
  fc.assert(
    fc.property(
      path,
      fc.constantFrom('https://a.example', 'http://localhost:1', 'https://a.example:8443'),
      (p, base) => {
        const { href } = new URL(base + p)
        if (/[*:()]|\/\//.test(href.slice(base.length))) return true
        const { url, path, body } = described(href)
        const back = url.replace('/.well-known/oauth-protected-resource', '')
        return (
          body.resource === href &&
          url === new URL(url).href &&
          url === `${base}${path}` &&
          (back === href || `${back}/` === href) &&
          /^[!#-[\]-~]+$/.test(url) // nothing in it ends a quoted string or a header
        )
      },
    ),
    { numRuns: 2000 },
  )
})

t.test('what no client could compare or reach is refused, and the message says what to write', async (t) => {
  for (const [resource, reason] of [
    [undefined, /resource: the URL of this service is needed/],
    ['', /resource: the URL/],
    [7, /resource: the URL/],
    [['https://a.example'], /resource: the URL/],
    ['a.example', /not an https URL/],
    ['urn:example:api', /not an https URL/],
    ['ftp://a.example', /not an https URL/],
    ['javascript:alert(1)', /not an https URL/],
    ['http://a.example', /not https, and only loopback/],
    ['http://127.0.0.1.example.com', /not https, and only loopback/],
    ['https://user:hunter2@a.example', /^resource: a URL with a password in it$/],
    ['https://a.example/?x=1', /query or a fragment/],
    ['https://a.example/#x', /query or a fragment/],
    ['https://a.example?', /query or a fragment/],
    ['https://A.example/x', /write "https:\/\/a\.example\/x"/],
    ['https://a.example:443', /write "https:\/\/a\.example\/"/],
    ['https://a.example/a/../b', /write "https:\/\/a\.example\/b"/],
    ['https://a.example/a b', /write "https:\/\/a\.example\/a%20b"/],
    ['https://a.example/x\r\nx: y', /normal form/],
    ['https://a.example/"x', /write "https:\/\/a\.example\/%22x"/],
    ['https://a.example/:id', /\*, :, brackets/],
    ['https://a.example/*', /\*, :, brackets/],
    ['https://a.example/a//b', /\/\/ in its path/],
  ] as const)
    t.match(refusal(resource), reason, String(resource))
  t.equal(refusal('http://a.example', { insecure: true }), 'accepted')
  t.match(refusal('ftp://a.example', { insecure: true }), /not an https URL/)
  for (const authorizationServers of [undefined, [], ISSUER])
    t.match(refusal(ISSUER, { authorizationServers }), /authorizationServers: at least one/)
  for (const scopesSupported of ['read', ['a b'], ['a"'], ['a\\'], [''], [1], [undefined]])
    t.match(refusal(ISSUER, { scopesSupported }), /scopesSupported: a list/, String(scopesSupported))
  for (const resourceName of ['', 1, null]) t.match(refusal(ISSUER, { resourceName }), /resourceName/)
})

t.test('no parameter of a challenge begins another one or another header (RFC 9110 section 5.6.4)', async (t) => {
  const challengeOf = (value: string) =>
    problemResponse(new AppError('missing_token'), undefined, { resource_metadata: value }).headers['www-authenticate']
  t.equal(challengeOf('https://a.example/x'), 'Bearer realm="signet", resource_metadata="https://a.example/x"')
  t.equal(challengeOf('a", error="b'), 'Bearer realm="signet", resource_metadata="a\\", error=\\"b"')
  t.equal(challengeOf('a\\'), 'Bearer realm="signet", resource_metadata="a\\\\"')
  t.equal(challengeOf('a\r\nset-cookie: b\0é'), 'Bearer realm="signet", resource_metadata="a??set-cookie: b??"')
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'a "\\\r\n\0\x7fé=,€') }), (value) =>
      /^Bearer realm="signet", resource_metadata="([ !#-[\]-~]|\\["\\])*"$/.test(challengeOf(value) ?? ''),
    ),
  )
  const own = new AppError('insufficient_scope', { challengeParameters: { scope: 'a' } })
  t.match(
    problemResponse(own, undefined, { resource_metadata: 'https://a.example/x' }).headers['www-authenticate'],
    /, resource_metadata="https:\/\/a\.example\/x", scope="a"$/,
  )
  const unavailable = problemResponse(new AppError('keys_unavailable'), undefined, { resource_metadata: 'x' })
  t.equal(unavailable.headers['www-authenticate'], undefined, 'a 503 is no challenge')
})

t.test('the API of the server says who issues its tokens, and each challenge says where', async (t) => {
  for (const [env, issuer, url] of [
    [{}, 'http://127.0.0.1:3000', 'http://127.0.0.1:3000/.well-known/oauth-protected-resource'],
    [
      { ISSUER: 'https://example.com/auth', AUDIENCE: 'https://api.example.com' },
      'https://example.com/auth',
      'https://example.com/.well-known/oauth-protected-resource/auth',
    ],
    [
      { ISSUER: 'http://signet.internal' },
      'http://signet.internal',
      'http://signet.internal/.well-known/oauth-protected-resource',
    ],
  ] as const) {
    const { app } = await startApp(t, { env })
    for (const path of new Set([new URL(url).pathname, '/.well-known/oauth-protected-resource'])) {
      const reply = await app.inject(path)
      t.same(reply.json(), { resource: issuer, authorization_servers: [issuer], bearer_methods_supported: ['header'] })
      t.match(reply.headers, {
        'content-type': /^application\/json/,
        'cache-control': 'public, max-age=3600',
        'access-control-allow-origin': '*',
      })
    }
    const named = new RegExp(`, resource_metadata="${url.replaceAll('.', '\\.')}"`)
    const { token } = await newUser(app)
    const authorization = `Bearer ${token}`
    for (const [status, path, headers] of [
      [401, '/v1/me', {}],
      [401, '/v1/me', { authorization: 'Bearer x' }],
      [401, '/v1/account', { authorization: `${authorization}x` }],
      [403, '/v1/admin/audit', { authorization }],
    ] as const) {
      const refused = await app.inject({ url: path, headers })
      t.equal(refused.statusCode, status)
      t.match(refused.headers['www-authenticate'], named, path)
    }
    t.equal((await app.inject('/.well-known/oauth-protected-resource/other')).statusCode, 404)
  }
})
