import t from 'tap'
import { bearer, PASSWORD, startApp } from '../support/app.ts'
import { signUp, verdict } from '../support/front-door.ts'
import {
  browser,
  FRIEND,
  https,
  IDLE,
  ISSUER,
  kept,
  NAME,
  SAME_SITE,
  send,
  setCookies,
} from '../support/refresh-cookie.ts'

// The refresh token of a browser lives in a cookie.

const server = await https(t)

t.test('on an https issuer the cookie is as locked as cookies get, and the token is not in the body', async (t) => {
  const { reply } = await browser(server)
  t.equal(reply.statusCode, 200)
  t.notOk(reply.body.includes('srt_'))
  t.same(Object.keys(reply.json()).sort(), ['access_token', 'expires_in', 'scope', 'token_type'])
  const [cookie = '', ...others] = setCookies(reply)
  t.same(others, [])
  const [pair, ...attributes] = cookie.split('; ')
  t.match(pair, new RegExp(`^${NAME}=srt_[\\w-]{80}$`))
  t.same(attributes.sort(), ['HttpOnly', `Max-Age=${IDLE}`, 'Path=/', 'SameSite=Strict', 'Secure'])
  t.equal(reply.headers['cache-control'], 'no-store')
})

t.test('on an http issuer it is the same without Secure and its prefix, which a browser would refuse', async (t) => {
  const { reply } = await browser(await startApp(t, { env: { ISSUER: 'http://localhost:3000' } }))
  const [pair, ...attributes] = setCookies(reply)[0]?.split('; ') ?? []
  t.match(pair, /^signet_refresh=srt_[\w-]{80}$/)
  t.same(attributes.sort(), ['HttpOnly', 'Max-Age=2592000', 'Path=/v1', 'SameSite=Strict'])
})

t.test('the issuer of a path has a cookie of its own: its name says so on https, its path on http', async (t) => {
  const CASES: [issuer: string, name: string, path: string][] = [
    ['https://host.example/auth', '__Host-signet_refresh.auth', '/'],
    ['https://host.example/auth/one', '__Host-signet_refresh.auth.one', '/'],
    ['https://host.example/auth.one', '__Host-signet_refresh.auth%2eone', '/'],
    ['https://host.example/a%20b', '__Host-signet_refresh.a%2520b', '/'],
    ['http://localhost:3000/auth', 'signet_refresh', '/auth/v1'],
  ]
  for (const [ISSUER, name, path] of CASES) {
    const server = await startApp(t, { env: { ISSUER } })
    const { reply, cookie } = await browser(server)
    t.match(cookie, new RegExp(`^${name}=srt_`), ISSUER)
    t.ok(setCookies(reply)[0]?.split('; ').includes(`Path=${path}`), ISSUER)
    t.equal((await send(server, '/v1/refresh', { ...SAME_SITE, cookie })).statusCode, 200)
  }
})

t.test('without the cookie transport no cookie is set', async (t) => {
  const { email, refresh_token } = await signUp(server.app)
  for (const transport of [undefined, 'body']) {
    const reply = await send(server, '/v1/login', {}, { email, password: PASSWORD, transport })
    t.same(setCookies(reply), [])
    t.match(reply.json().refresh_token, /^srt_/)
  }
  t.same(setCookies(await send(server, '/v1/refresh', {}, { refresh_token })), [])
  const wrong = await send(server, '/v1/login', {}, { email, password: PASSWORD, transport: 'header' })
  t.equal(wrong.json().code, 'validation_failed')
})

t.test('a refresh by cookie gives the next cookie, and a body without the token', async (t) => {
  const { cookie } = await browser(server)
  const reply = await send(server, '/v1/refresh', { ...SAME_SITE, cookie })
  t.equal(reply.statusCode, 200)
  t.notOk(reply.body.includes('srt_'))
  t.equal(await verdict(server.app, reply.json()), 'good')
  t.match(setCookies(reply)[0], /; Max-Age=5000; Path=\/; HttpOnly; Secure; SameSite=Strict$/)
  t.not(kept(reply), cookie)
  const repeat = await send(server, '/v1/refresh', { ...SAME_SITE, cookie })
  t.equal(kept(repeat), kept(reply), 'another tab gets the same one')
  t.equal((await send(server, '/v1/refresh', { ...SAME_SITE, cookie: kept(reply) })).statusCode, 200)
})

const FORM = 'application/x-www-form-urlencoded'
/** Headers that a page of another site can make a browser send, or that no browser sends. */
const CROSS_SITE: Record<string, { headers: Record<string, string | undefined>; payload?: unknown }> = {
  'from another site': { headers: { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' } },
  'from another site, without Origin': { headers: { 'sec-fetch-site': 'cross-site' } },
  'from another site, with our Origin': { headers: { 'sec-fetch-site': 'cross-site', origin: ISSUER } },
  'from a foreign Origin': { headers: { origin: 'https://evil.example' } },
  'from a foreign Origin of the same site': {
    headers: { 'sec-fetch-site': 'same-site', origin: 'https://blog.example.com' },
  },
  'from our host without TLS': { headers: { origin: 'http://id.example.com' } },
  'from our host on another port': { headers: { origin: `${ISSUER}:8443` } },
  'from a host that begins as ours': { headers: { origin: `${ISSUER}.evil.example` } },
  'from an opaque Origin': { headers: { origin: 'null' } },
  'from an empty Origin': { headers: { origin: '' } },
  'from nowhere': { headers: {} },
  'typed by the user': { headers: { 'sec-fetch-site': 'none' } },
  'with an unknown Sec-Fetch-Site': { headers: { 'sec-fetch-site': 'same-origin, cross-site' } },
  'a form': { headers: { ...SAME_SITE, 'content-type': FORM }, payload: 'a=b' },
  'a form with files': {
    headers: { ...SAME_SITE, 'content-type': 'multipart/form-data; boundary=x' },
    payload: '--x--',
  },
  'JSON as a form can send it': { headers: { ...SAME_SITE, 'content-type': 'text/plain' }, payload: '{}' },
  'JSON in name only': { headers: { ...SAME_SITE, 'content-type': 'text/plain; application/json' }, payload: '{}' },
  'a type that begins as JSON': { headers: { ...SAME_SITE, 'content-type': 'application/jsonp' }, payload: '{}' },
  'no type': { headers: { ...SAME_SITE, 'content-type': undefined }, payload: '' },
}

t.test('a request with the cookie that may come from another site is refused, and changes nothing', async (t) => {
  const { cookie, access_token } = await browser(server)
  for (const url of ['/v1/refresh', '/v1/logout']) {
    for (const [name, { headers, payload }] of Object.entries(CROSS_SITE)) {
      const all = { ...headers, cookie, ...bearer(access_token) }
      const reply = await send(server, url, all, payload)
      t.equal(reply.statusCode, 403, `${url} ${name}`)
      t.equal(reply.json().code, 'cross_site_request')
      t.same(setCookies(reply), [])
    }
  }
  t.equal(await verdict(server.app, { access_token }), 'good')
  const next = await send(server, '/v1/refresh', { ...SAME_SITE, cookie })
  t.equal(next.statusCode, 200)
  const [row] = await server.database.query('SELECT MAX(counter) AS counter FROM sessions WHERE id = $1', [
    JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString()).sid,
  ])
  t.equal(Number(row?.counter), 1, 'it was rotated by the last one only')
})

t.test('a request of our own pages and of the allowed origins is served', async (t) => {
  for (const headers of [
    { 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'same-origin', origin: ISSUER },
    { 'sec-fetch-site': 'same-site', origin: FRIEND },
    { origin: ISSUER },
    { origin: FRIEND },
    { origin: 'https://admin.example.com', 'content-type': 'application/json; charset=utf-8' },
    { origin: FRIEND, 'content-type': 'Application/JSON' },
  ]) {
    const { cookie } = await browser(server)
    const payload = 'content-type' in headers ? '{}' : {}
    t.equal(
      (await send(server, '/v1/refresh', { ...headers, cookie }, payload)).statusCode,
      200,
      JSON.stringify(headers),
    )
  }
})

t.test('a browser is told that a listed origin may send the cookie, and no other', async (t) => {
  const preflight = (origin: string) => ({
    method: 'OPTIONS' as const,
    url: '/v1/refresh',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
  })
  const { headers } = await server.app.inject(preflight(FRIEND))
  t.equal(headers['access-control-allow-origin'], FRIEND)
  t.equal(headers['access-control-allow-credentials'], 'true')
  const foreign = await server.app.inject(preflight('https://evil.example'))
  t.equal(foreign.headers['access-control-allow-origin'], undefined)
})

t.test('a client without the cookie needs none of that', async (t) => {
  const { refresh_token } = await signUp(server.app)
  const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
  t.equal((await send(server, '/v1/refresh', foreign, { refresh_token })).statusCode, 200)
  const without = await send(server, '/v1/refresh', foreign)
  t.equal(without.statusCode, 401)
  t.equal(without.json().code, 'invalid_refresh_token')
})

t.test('the cookie opens no route: an access token is Bearer or nothing', async (t) => {
  const { cookie, access_token } = await browser(server)
  const jars = [cookie, `${NAME}=${access_token}`, `access_token=${access_token}`, `token=${access_token}`]
  for (const jar of jars) {
    const reply = await server.app.inject({ url: '/v1/me', headers: { ...SAME_SITE, cookie: jar } })
    t.equal(reply.json().code, 'missing_token')
  }
})

t.test('the name without the prefix is not the cookie: another host of the site could set it', async (t) => {
  const { cookie } = await browser(server)
  const reply = await send(server, '/v1/refresh', { ...SAME_SITE, cookie: cookie.replace('__Host-', '') })
  t.equal(reply.json().code, 'invalid_refresh_token')
})

t.test('a cookie that is no token of ours is refused as any other', async (t) => {
  for (const value of ['', 'x', `srt_${'A'.repeat(80)}`, '%00', '%', `"srt_${'A'.repeat(80)}"`, 'srt_'.repeat(900)]) {
    const reply = await send(server, '/v1/refresh', { ...SAME_SITE, cookie: `${NAME}=${value}` })
    t.equal(reply.statusCode, 401, value.slice(0, 20))
    t.equal(reply.json().code, 'invalid_refresh_token')
  }
})

t.test('a logout clears the cookie, one of the others does not', async (t) => {
  for (const [scope, clears] of [
    ['others', false],
    ['session', true],
    ['all', true],
  ] as const) {
    const { cookie, access_token } = await browser(server)
    const reply = await send(server, '/v1/logout', { ...SAME_SITE, cookie, ...bearer(access_token) }, { scope })
    t.equal(reply.statusCode, 204, scope)
    const [cleared = ''] = setCookies(reply)
    t.equal(cleared !== '', clears)
    if (clears) {
      t.match(cleared, new RegExp(`^${NAME}=; `))
      const attributes = cleared.split('; ').slice(1)
      t.match(
        attributes,
        ['Max-Age=0'].filter((name) => attributes.includes(name)),
      )
      t.ok(attributes.some((text) => text === 'Max-Age=0' || text.startsWith('Expires=Thu, 01 Jan 1970')))
      for (const name of ['Path=/', 'HttpOnly', 'Secure', 'SameSite=Strict']) t.ok(attributes.includes(name), name)
    }
    const after = await send(server, '/v1/refresh', { ...SAME_SITE, cookie })
    t.equal(after.statusCode, clears ? 401 : 200)
  }
})
