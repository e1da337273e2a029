import { once } from 'node:events'
import { get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { compactVerify, createLocalJWKSet } from 'jose'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { App } from '../../src/http/app-type.ts'
import { revokeKey } from '../../src/keys/change-keyring.ts'
import type { FeedClaims } from '../../src/revocations/feed-format.ts'
import { bearer, newUser, startApp } from '../support/app.ts'

const FEED = '/.well-known/revocations'

interface Read {
  readonly claims: FeedClaims
  readonly header: { alg?: string; typ?: string; kid?: string }
  readonly etag: string
  readonly body: string
}

/** The feed as an integrator reads it: signature checked against the JWKS. */
async function read(app: App, url = FEED, headers: Record<string, string> = {}): Promise<Read> {
  const keys = createLocalJWKSet((await app.inject('/.well-known/jwks.json')).json())
  const reply = await app.inject({ url, headers })
  if (reply.statusCode !== 200) throw new Error(`${reply.statusCode} ${reply.body}`)
  const { payload, protectedHeader } = await compactVerify(reply.body, keys)
  const claims = JSON.parse(new TextDecoder().decode(payload))
  return { claims, header: protectedHeader, etag: String(reply.headers.etag), body: reply.body }
}

const logout = (app: App, token: string) => app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(token) })

/** A clock that stands still until the test moves it. */
function standingClock(): { now: () => number; seconds: number } {
  const clock = { seconds: systemClock(), now: () => clock.seconds }
  return clock
}

t.test('an empty feed is signed, typed, dated, and readable by any origin', async (t) => {
  const { app, config, keyring } = await startApp(t)
  const { claims, header } = await read(app)
  t.same(header, { alg: 'RS256', typ: 'revocations+jwt', kid: keyring.signingKey().kid })
  const { iat, exp, ...rest } = claims
  t.same(rest, { iss: config.ISSUER, seq: 0, sessions: [], accounts: {}, clients: {}, tokens: [], keys: [] })
  t.equal(exp - iat, config.FEED_TTL)
  t.ok(iat <= systemClock() && exp > systemClock())
  const reply = await app.inject(FEED)
  t.match(reply.headers, {
    'content-type': /^application\/revocations\+jwt/,
    'cache-control': 'public, no-cache',
    'access-control-allow-origin': '*',
    'access-control-expose-headers': 'etag',
    etag: /^"[\w-]+"$/,
  })
})

t.test('what is withdrawn is in it, and nothing about a person', async (t) => {
  const { app, database } = await startApp(t, { env: { ISSUER: 'https://signet.example' } })
  const ended = await newUser(app)
  const [session] = await database.query('SELECT id FROM sessions')
  await logout(app, ended.token)
  const promoted = await newUser(app)
  await database.transaction([{ sql: `UPDATE accounts SET roles = '["admin"]' WHERE id = $1`, params: [promoted.id] }])
  const login = await app.inject({
    method: 'POST',
    url: '/v1/login',
    payload: { email: promoted.email, password: 'correct horse battery staple' },
  })
  const admin = bearer(login.json().access_token)
  const change = { method: 'PATCH' as const, url: `/v1/admin/accounts/${ended.id}`, headers: admin }
  t.equal((await app.inject({ ...change, payload: { roles: ['support'] } })).statusCode, 200)

  const { claims, body } = await read(app)
  t.same(claims.sessions, [session?.id])
  t.same(claims.accounts, { [ended.id]: 2 })
  t.equal(claims.seq, 2)
  t.notMatch(Buffer.from(body.split('.')[1] ?? '', 'base64url').toString(), /@|support|127\.0\.0\.1/)
})

t.test('a deleted account is withdrawn whatever its version', async (t) => {
  const { app } = await startApp(t)
  const { id, token } = await newUser(app)
  t.equal((await app.inject({ method: 'DELETE', url: '/v1/me', headers: bearer(token) })).statusCode, 204)
  t.same((await read(app)).claims.accounts, { [id]: null })
})

t.test('a revoked key is named for ever', async (t) => {
  const { app, folder, keyring } = await startApp(t)
  const { kid } = keyring.signingKey()
  await revokeKey(folder, kid, { now: systemClock, bits: 2048, successor: true, force: true })
  await keyring.reload()
  const { claims, header } = await read(app)
  t.same(claims.keys, [kid])
  t.not(header.kid, kid)
})

t.test('the same list is the same text until half of its life is over', async (t) => {
  const clock = standingClock()
  clock.seconds = 1_800_000_005
  const { app } = await startApp(t, { now: clock.now, env: { FEED_TTL: '60' } })
  const first = await read(app)
  clock.seconds += 20
  t.equal((await read(app)).body, first.body)
  clock.seconds += 20
  const second = await read(app)
  t.not(second.etag, first.etag)
  t.equal(second.claims.iat, first.claims.iat + 30)
})

t.test('two servers with the same revocations serve the same feed', async (t) => {
  const clock = standingClock()
  // Far from the next half minute, at which `iat` moves: the set of one server is a moment older than that of the
  // other.
  clock.seconds = Math.ceil(clock.seconds / 60) * 60 + 15
  const one = await startApp(t, { now: clock.now, env: { ISSUER: 'https://signet.example' } })
  const two = await startApp(t, { now: clock.now, env: { ISSUER: 'https://signet.example' } })
  t.equal((await read(one.app)).etag, (await read(two.app)).etag, 'one key, one list, one text')
})

t.test('a revocation leaves the feed when no token it could hit is alive', async (t) => {
  const clock = standingClock()
  const { app } = await startApp(t, { now: clock.now })
  const { token } = await newUser(app)
  await logout(app, token)
  t.equal((await read(app)).claims.sessions.length, 1)
  clock.seconds += 900
  t.equal((await read(app)).claims.sessions.length, 1, 'a token of the last second may still live')
  clock.seconds += 200
  t.equal((await read(app)).claims.sessions.length, 0)
})

t.test('a current copy gets 304, and a long poll ends with the next revocation', async (t) => {
  const { app } = await startApp(t)
  const { token } = await newUser(app)
  const { etag } = await read(app)
  const headers = { 'if-none-match': etag }
  t.equal((await app.inject({ url: FEED, headers })).statusCode, 304)
  const [changed] = await Promise.all([read(app, `${FEED}?wait=30`, headers), logout(app, token)])
  t.equal(changed.claims.sessions.length, 1)
  const waits = app.inject({ url: `${FEED}?wait=1`, headers: { 'if-none-match': changed.etag } })
  for (const less of [headers, {}]) {
    const first = await Promise.race([app.inject({ url: `${FEED}?wait=30`, headers: less }), waits])
    t.equal(first.statusCode, 200, 'at once for who has less, and for who has nothing')
  }
})

t.test('an invalid wait is refused', async (t) => {
  const { app } = await startApp(t)
  for (const query of ['wait=', 'wait=31', 'wait=-1', 'wait=1.5', 'wait=1e1', 'wait=01', 'wait=1&wait=2', 'weight=1']) {
    const reply = await app.inject(`${FEED}?${query}`)
    t.equal(reply.statusCode, 400, query)
    t.equal(reply.json().code, 'validation_failed', query)
  }
})

/** Starts a long poll on a real socket. @returns a function that hangs up, and the status of the answer */
function longPoll(app: App, etag: string) {
  const { port } = app.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}${FEED}?wait=30`
  const request = get(url, { headers: { 'if-none-match': etag }, agent: false })
  request.on('error', () => undefined)
  const status = once(request, 'response').then(([response]) => {
    response.resume()
    return response.statusCode as number
  })
  status.catch(() => undefined)
  return { hangUp: () => request.destroy(), status }
}

t.test('a client that disconnects makes room for the next long poll', async (t) => {
  const polls: { closed: Promise<unknown> }[] = []
  let arrived = () => {}
  const { app } = await startApp(t, {
    now: standingClock().now,
    env: { FEED_MAX_WAITERS: '1' },
    routes: (app) =>
      void app.addHook('preHandler', async ({ query, raw }) => {
        if (Object.keys(query as object).length === 0) return
        polls.push({ closed: once(raw.socket, 'close') })
        arrived()
      }),
  })
  await app.listen({ port: 0 })
  const { token } = await newUser(app)
  const { etag } = await read(app)
  const waiting = async () => {
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve
    })
    const poll = longPoll(app, etag)
    await arrival
    for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve))
    return poll
  }
  const gone = await waiting()
  t.equal((await app.inject({ url: `${FEED}?wait=30`, headers: { 'if-none-match': etag } })).statusCode, 304, 'full')
  gone.hangUp()
  await polls[0]?.closed
  const next = await waiting()
  await logout(app, token)
  t.equal(await next.status, 200, 'it waited, and there was something newer')
})

t.test('closing lets everybody who waits go', async (t) => {
  let arrived: () => void
  const waiting = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const { app } = await startApp(t, {
    routes: (app) =>
      void app.addHook('preHandler', async ({ query }) => void (Object.keys(query as object).length > 0 && arrived())),
  })
  await app.listen({ port: 0 })
  const poll = longPoll(app, (await read(app)).etag)
  await waiting
  await new Promise((resolve) => setImmediate(resolve))
  await app.close()
  t.equal(await poll.status, 304)
})
