import t from 'tap'
import { startApp } from '../support/app.ts'

const preflight = (origin: string) => ({
  method: 'OPTIONS' as const,
  url: '/v1/me',
  headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' },
})

t.test('a listed origin may call the API from a browser, another may not', async (t) => {
  const { app } = await startApp(t, { env: { CORS_ORIGINS: 'https://app.example.com' } })
  const allowed = await app.inject(preflight('https://app.example.com'))
  t.equal(allowed.statusCode, 204)
  t.equal(allowed.headers['access-control-allow-origin'], 'https://app.example.com')
  t.match(allowed.headers['access-control-allow-headers'], /authorization/)
  for (const origin of [
    'https://evil.example',
    'https://app.example.com.evil.example',
    'null',
    'http://app.example.com',
  ]) {
    t.equal((await app.inject(preflight(origin))).headers['access-control-allow-origin'], undefined, origin)
  }
  const refused = await app.inject({ url: '/v1/me', headers: { origin: 'https://app.example.com' } })
  t.equal(refused.statusCode, 401)
  t.equal(refused.headers['access-control-allow-origin'], 'https://app.example.com', 'the page can read why')
  t.match(refused.headers['access-control-expose-headers'], /www-authenticate/)
})

t.test('with no origins set no other site reads an answer, but for the public keys', async (t) => {
  const { app } = await startApp(t)
  const me = await app.inject({ url: '/v1/me', headers: { origin: 'https://app.example.com' } })
  t.equal(me.headers['access-control-allow-origin'], undefined)
  t.equal((await app.inject(preflight('https://app.example.com'))).headers['access-control-allow-origin'], undefined)
  for (const env of [{}, { CORS_ORIGINS: 'https://app.example.com' }]) {
    const { app } = await startApp(t, { env })
    const jwks = await app.inject({ url: '/.well-known/jwks.json', headers: { origin: 'https://other.example' } })
    t.equal(jwks.headers['access-control-allow-origin'], '*')
  }
})

const DOCUMENTS = [
  '/.well-known/jwks.json',
  '/.well-known/revocations',
  '/.well-known/oauth-authorization-server',
  '/.well-known/oauth-authorization-server/auth',
  '/.well-known/oauth-protected-resource',
  '/.well-known/oauth-protected-resource/auth',
  '/openapi.json',
]

t.test('a page of any origin may revalidate the public documents', async (t) => {
  for (const env of [{}, { CORS_ORIGINS: 'https://app.example.com' }]) {
    const { app } = await startApp(t, { env: { ISSUER: 'https://host.example/auth', ...env } })
    for (const url of DOCUMENTS) {
      for (const origin of ['https://app.example.com', 'https://other.example', 'null']) {
        const asks = { 'access-control-request-method': 'GET', 'access-control-request-headers': 'if-none-match' }
        const reply = await app.inject({ method: 'OPTIONS', url, headers: { origin, ...asks } })
        t.equal(reply.statusCode, 204, `${url} ${origin}`)
        t.match(reply.headers, {
          'access-control-allow-origin': '*',
          'access-control-allow-methods': /GET/,
          'access-control-allow-headers': /\*/,
          'access-control-allow-credentials': undefined,
        })
        const read = await app.inject({ url, headers: { origin, 'if-none-match': '"x"' } })
        t.match([read.statusCode, read.headers['access-control-allow-origin']], [200, '*'])
        t.equal(read.headers['access-control-allow-credentials'], undefined)
        t.match(read.headers['access-control-expose-headers'], /etag/, 'the page can read the tag')
      }
      t.equal((await app.inject({ method: 'POST', url })).headers.allow, 'GET, HEAD')
      const hidden = { 'access-control-request-method': 'GET', origin: 'https://other.example' }
      for (const other of ['/v1/me', `${url}x`, '/health/ready']) {
        const reply = await app.inject({ method: 'OPTIONS', url: other, headers: hidden })
        t.equal(reply.headers['access-control-allow-origin'], undefined, `${other} is for nobody else`)
      }
    }
  }
})

t.test('HEAD is GET without the body on every public route', async (t) => {
  const routes: string[] = []
  const { app } = await startApp(t, {
    env: { ISSUER: 'https://host.example/auth' },
    onRoute: ({ method, url, config }) => {
      if (method === 'GET' && config?.auth === 'public') routes.push(url.replace('*', 'index.css'))
    },
  })
  for (const url of new Set([...routes, ...DOCUMENTS, '/docs', '/docs/', '/docs/static/swagger-ui-bundle.js'])) {
    const [get, head] = [await app.inject({ url }), await app.inject({ method: 'HEAD', url })]
    const { date: _date, 'x-request-id': _id, ...same } = get.headers
    if (url === '/health/ready') delete same['content-length'] // the body says how old something is
    t.equal(head.statusCode, get.statusCode, url)
    t.match(head.headers, same, url)
    t.equal(head.body, '')
  }
  t.ok(routes.length >= 7)
  const tag = (await app.inject('/.well-known/jwks.json')).headers.etag
  const held = { 'if-none-match': String(tag) }
  t.equal((await app.inject({ method: 'HEAD', url: '/.well-known/jwks.json', headers: held })).statusCode, 304)
})

t.test('every answer carries the security headers, and a page those of a page', async (t) => {
  const { app } = await startApp(t, { env: { ISSUER: 'https://signet.example' } })
  for (const url of ['/v1/me', '/health/live', '/nothing', '/.well-known/jwks.json', '/docs/', '/openapi.json']) {
    const { headers } = await app.inject(url)
    t.match(headers['content-security-policy'], /default-src 'none'.*frame-ancestors 'none'/, url)
    t.equal(headers['x-content-type-options'], 'nosniff')
    t.match(headers['strict-transport-security'], /max-age/)
    t.equal(headers['x-powered-by'], undefined)
    t.match(headers['x-request-id'], /^[\w-]+$/)
  }
  const page = (await app.inject('/docs/')).headers
  t.match(page, {
    'referrer-policy': 'no-referrer',
    'x-frame-options': 'DENY',
    'cross-origin-opener-policy': 'same-origin',
  })
})

t.test('a plain http issuer says nothing of HSTS', async (t) => {
  const { app } = await startApp(t, { env: { ISSUER: 'http://signet.example' } })
  t.equal((await app.inject('/v1/me')).headers['strict-transport-security'], undefined)
})

t.test('the address of the caller is taken from a proxy only when it is trusted', async (t) => {
  const spoof = {
    url: '/health/live',
    headers: { 'x-forwarded-for': '203.0.113.9', 'x-request-id': 'forged', 'x-forwarded-user': 'admin' },
  }
  const line = (log: string[]) => JSON.parse(log.at(-1) ?? '{}')
  const plain = await startApp(t)
  await plain.app.inject(spoof)
  t.match(line(plain.log), { ip: '127.0.0.1', msg: 'answered' })
  t.notMatch(plain.log.join(), 'forged')
  const behind = await startApp(t, { env: { TRUST_PROXY: 'loopback' } })
  await behind.app.inject(spoof)
  t.equal(line(behind.log).ip, '203.0.113.9')
})
