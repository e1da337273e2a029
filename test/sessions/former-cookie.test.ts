import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { bearer, startApp, type TestServer } from '../support/app.ts'
import { verdict } from '../support/front-door.ts'
import {
  browser,
  cleared,
  https,
  kept,
  NAME,
  SAME_SITE,
  send,
  setCookies,
  updatedNow,
} from '../support/refresh-cookie.ts'

// More than one cookie: two of a name, and the one of before beside the present one.

/** The cookie of Signet 0.2 and before. */
const FORMER = '__Secure-signet_refresh'
const server = await https(t)

t.test('a cookie that is there twice is refused and cleared, and no session ends by it', async (t) => {
  const victim = await browser(server)
  const attacker = await browser(server)
  const value = victim.cookie.split('=')[1]
  const former = `${FORMER}=${value}`
  const TWICE = [
    `${attacker.cookie}; ${victim.cookie}`,
    `${victim.cookie}; ${attacker.cookie}`,
    `${victim.cookie};${victim.cookie}`,
    `${victim.cookie}; x=1; ${NAME}=`,
    `${victim.cookie}; ${NAME}`,
    `${victim.cookie}; \t${attacker.cookie}`,
    `${former}; ${former}`,
    `${former}; ${FORMER}=${attacker.cookie.split('=')[1]}`,
  ]
  for (const cookie of TWICE) {
    const reply = await send(server, '/v1/refresh', { ...SAME_SITE, cookie })
    t.equal(reply.statusCode, 401, cookie.replaceAll(/srt_\S+/g, '…'))
    t.equal(reply.json().code, 'invalid_refresh_token')
    const both = [[NAME, '/'], ...(cookie.includes(FORMER) ? [[FORMER, '/v1']] : [])]
    t.same(cleared(reply), both)
  }
  for (const { cookie } of [victim, attacker])
    t.equal((await send(server, '/v1/refresh', { ...SAME_SITE, cookie })).statusCode, 200)
  const http = await startApp(t, { env: { ISSUER: 'http://localhost:3000' } })
  const { cookie } = await browser(http)
  const reply = await send(http, '/v1/refresh', { ...SAME_SITE, cookie: `${cookie}; ${cookie}` })
  t.same([reply.statusCode, cleared(reply)], [401, [['signet_refresh', '/v1']]])
})

t.test('a cookie of a sibling whose name only looks like the present one does not count', async (t) => {
  const { cookie } = await browser(server)
  const pushed = `\u00a0${NAME}=x` // its prefix means nothing to a browser, which lets a sibling set it
  t.equal((await send(server, '/v1/refresh', { ...SAME_SITE, cookie: `${pushed}; ${cookie}` })).statusCode, 200)
})

t.test('a logout works with two cookies, and clears them', async (t) => {
  const { cookie, access_token } = await browser(server)
  const twice = { ...SAME_SITE, cookie: `${cookie}; ${cookie}`, ...bearer(access_token) }
  const reply = await send(server, '/v1/logout', twice)
  t.equal(reply.statusCode, 204)
  t.same(cleared(reply), [[NAME, '/']])
  t.equal(await verdict(server.app, { access_token }), 'invalid_token')
})

t.test('a login from before goes on through one refresh, which moves it to the present cookie', async (t) => {
  const { cookie } = await browser(server)
  await updatedNow(server)
  const former = cookie.replace(NAME, FORMER)
  const reply = await send(server, '/v1/refresh', { ...SAME_SITE, cookie: former })
  t.equal(reply.statusCode, 200)
  t.match(kept(reply), new RegExp(`^${NAME}=srt_`))
  t.same(cleared(reply), [[FORMER, '/v1']])
  const line = setCookies(reply).find((text) => text.startsWith(FORMER)) ?? ''
  for (const attribute of ['Secure', 'HttpOnly', 'SameSite=Strict', 'Path=/v1'])
    t.ok(line.split('; ').includes(attribute), `a browser would ignore it without ${attribute}`)
  const next = await send(server, '/v1/refresh', { ...SAME_SITE, cookie: kept(reply) })
  t.same([next.statusCode, cleared(next)], [200, []])
  for (const headers of [{ 'sec-fetch-site': 'cross-site' }, {}])
    t.equal((await send(server, '/v1/refresh', { ...headers, cookie: former })).statusCode, 403, 'the same defence')
})

t.test('beside the present cookie the former one counts for nothing, and goes', async (t) => {
  const [victim, attacker] = [await browser(server), await browser(server)]
  const pushed = attacker.cookie.replace(NAME, FORMER)
  const sid = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sid
  for (const cookie of [`${pushed}; ${victim.cookie}`, `${victim.cookie}; ${pushed}; ${pushed}`]) {
    const reply = await send(server, '/v1/refresh', { ...SAME_SITE, cookie })
    t.equal(sid(reply.json().access_token), sid(victim.access_token))
    t.same(cleared(reply), [[FORMER, '/v1']])
  }
})

t.test('a token that was never in the former cookie is not taken from it', async (t) => {
  const refused = async (server: TestServer, why: string) => {
    const attacker = await browser(server)
    const pushed = attacker.cookie.replace(NAME, FORMER)
    const reply = await send(server, '/v1/refresh', { ...SAME_SITE, cookie: pushed })
    t.same([reply.statusCode, reply.json().code], [401, 'invalid_refresh_token'], why)
    t.same(cleared(reply), [
      [NAME, '/'],
      [FORMER, '/v1'],
    ])
    t.equal((await send(server, '/v1/refresh', { ...SAME_SITE, cookie: attacker.cookie })).statusCode, 200)
  }
  const server = await https(t)
  await refused(server, 'a database that this release created')
  await server.database.query('UPDATE schema_migrations SET applied_at = $1', [systemClock() - 3600 - 5])
  await refused(server, 'long ago')
  await server.database.query('UPDATE accounts SET created_at = $1', [systemClock() - 86_400])
  await refused(server, 'a database that was updated more than an hour ago')
  const plain = await startApp(t, { env: { ISSUER: 'http://localhost:3000' } })
  const dev = await browser(plain)
  const renamed = dev.cookie.replace('signet_refresh', FORMER)
  t.equal((await send(plain, '/v1/refresh', { ...SAME_SITE, cookie: renamed })).statusCode, 401, 'http had no prefix')
})
