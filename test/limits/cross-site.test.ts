import t from 'tap'
import { PASSWORD, startApp } from '../support/app.ts'
import { logIn, signUp } from '../support/front-door.ts'
import { limited } from '../support/limited-server.ts'

// A page of another site makes its visitor's browser send requests: they must not spend the visitor's quotas.

const ISSUER = 'https://id.example.com'
const FRIEND = 'https://app.friend.example'
const FORM = 'application/x-www-form-urlencoded'
const FOREIGN = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }
const env = { ISSUER, CORS_ORIGINS: FRIEND }

type Headers = Record<string, string>

/** What a page may send without a preflight, by every way that it has. */
const OF_ANY_PAGE: Record<string, Headers> = {
  'a form': { ...FOREIGN, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'content-type': FORM },
  'a form of a hidden origin': { ...FOREIGN, origin: 'null', 'sec-fetch-mode': 'navigate', 'content-type': FORM },
  'a form with files': { ...FOREIGN, 'content-type': 'multipart/form-data; boundary=x' },
  'a fetch without CORS': { ...FOREIGN, 'sec-fetch-mode': 'no-cors', 'content-type': 'text/plain' },
  'a fetch with CORS and without a preflight': { ...FOREIGN, 'sec-fetch-mode': 'cors', 'content-type': 'text/plain' },
  'a fetch without a body': { ...FOREIGN, 'sec-fetch-mode': 'cors' },
  'JSON in name only': { ...FOREIGN, 'content-type': 'text/plain; application/json' },
  'no Origin': { 'sec-fetch-site': 'cross-site', 'content-type': FORM },
  'an empty Origin': { ...FOREIGN, origin: '', 'content-type': FORM },
  'a sibling of our site': { 'sec-fetch-site': 'same-site', origin: 'https://blog.example.com', 'content-type': FORM },
}

/** What comes from elsewhere: programs, our own pages, those of listed origins, and what passed a preflight. */
const OF_OTHERS: Record<string, Headers> = {
  'a program': { 'content-type': FORM },
  'a program that fetches': { 'sec-fetch-mode': 'cors', 'content-type': 'text/plain' },
  'an old browser': { origin: 'https://evil.example', 'content-type': FORM },
  'our own page': { 'sec-fetch-site': 'same-origin', origin: ISSUER, 'content-type': FORM },
  'a proxy for development': { 'sec-fetch-site': 'same-origin', origin: 'http://localhost:5173', 'content-type': FORM },
  'a form of the host itself, elsewhere': { 'sec-fetch-site': 'same-site', origin: ISSUER, 'content-type': FORM },
  'a listed origin': { ...FOREIGN, origin: FRIEND, 'sec-fetch-mode': 'cors', 'content-type': FORM },
  'a beacon of a listed origin': { ...FOREIGN, origin: FRIEND, 'sec-fetch-mode': 'no-cors', 'content-type': FORM },
  JSON: { ...FOREIGN, 'content-type': 'Application/JSON; charset=utf-8' },
  Authorization: { ...FOREIGN, 'content-type': FORM, authorization: 'Basic eDp5' },
  'an address typed': { 'sec-fetch-site': 'none', 'content-type': FORM },
}

/** Every public route that has a quota. */
async function routesOf(): Promise<string[]> {
  const urls: string[] = []
  await startApp(t, {
    onRoute: ({ url, config }) => {
      if (config?.auth === 'public' && config.limit !== undefined) urls.push(url)
    },
  })
  return urls
}

const routes = await routesOf()

t.test('what any page can send is refused on every public route with a quota, and spends nothing', async (t) => {
  t.same(routes.toSorted(), [
    '/oauth/introspect',
    '/oauth/revoke',
    '/oauth/token',
    '/v1/accounts',
    '/v1/email/confirm',
    '/v1/login',
    '/v1/logout',
    '/v1/notices/revoke',
    '/v1/recovery',
    '/v1/recovery/confirm',
    '/v1/refresh',
  ])
  const { app } = await limited(t, env)
  for (const url of routes) {
    for (const [name, headers] of Object.entries(OF_ANY_PAGE)) {
      const reply = await app.inject({ method: 'POST', url, headers, payload: 'a=b' })
      const said = url.startsWith('/oauth') ? [400, 'invalid_request'] : [403, 'cross_site_request']
      t.same([reply.statusCode, reply.json().code ?? reply.json().error], said, `${url} ${name}`)
      t.equal(reply.headers['ratelimit-remaining'], undefined, `${url} ${name}: the quota was asked`)
    }
  }
  const { app: small } = await limited(t, { ...env, RATE_LIMIT_LOGIN: '1' })
  const { email } = await signUp(small, { ip: '192.0.2.2' })
  const headers = OF_ANY_PAGE['a fetch without CORS'] as Headers
  for (let i = 0; i < 3; i += 1)
    await small.inject({ method: 'POST', url: '/v1/login', headers, payload: JSON.stringify({ email }) })
  t.ok(await logIn(small, email), 'the visitor, from the same address, can log in')
})

t.test('everybody else reaches the quota, and an app of a listed origin logs in from another site', async (t) => {
  const { app } = await limited(t, { ...env, RATE_LIMIT_LOGIN: '1000' })
  for (const [name, headers] of Object.entries(OF_OTHERS)) {
    const reply = await app.inject({ method: 'POST', url: '/v1/login', headers, payload: '{}' })
    t.not(reply.statusCode, 403, name)
    t.match(reply.headers['ratelimit-limit'], '1000', name)
  }
  const { email } = await signUp(app)
  const headers = { ...FOREIGN, origin: FRIEND, 'sec-fetch-mode': 'cors' }
  const reply = await app.inject({ method: 'POST', url: '/v1/login', headers, payload: { email, password: PASSWORD } })
  t.match(reply, { statusCode: 200, headers: { 'access-control-allow-origin': FRIEND } })
})

t.test('a public page with a quota opens from a link, and is not embedded by others', async (t) => {
  const { app } = await startApp(t, {
    env,
    routes: (app) => void app.get('/page', { config: { auth: 'public', limit: 'store' } }, () => ''),
  })
  const rows: [what: string, headers: Headers, status: number][] = [
    ['a link', { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }, 200],
    ['an image', { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }, 403],
    ['a frame', { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' }, 403],
  ]
  for (const [what, headers, status] of rows) {
    const reply = await app.inject({ url: '/page', headers: { 'sec-fetch-site': 'cross-site', ...headers } })
    t.equal(reply.statusCode, status, what)
  }
  for (const url of ['/', '/openapi.json', '/.well-known/jwks.json', '/health/live'])
    t.equal((await app.inject({ url, headers: { 'sec-fetch-site': 'cross-site' } })).statusCode, 200, url)
})
