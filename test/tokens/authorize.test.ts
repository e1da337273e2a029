import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { App } from '../../src/http/app-type.ts'
import { anotherNode } from '../support/another-node.ts'
import { bearer, bootsWith, startApp, type TestServer } from '../support/app.ts'
import { signUp, type User } from '../support/front-door.ts'
import { serverMint } from '../support/mint.ts'
import { call, standing } from '../support/people.ts'

const reply = () => ({ ok: true })

/** Routes of each kind, as an application developer writes them. */
function routes(app: App): void {
  app.get('/plain', reply)
  app.get('/staff', { config: { roles: ['auditor', 'support'] } }, reply)
  app.get('/orders', { config: { scope: ['orders:read', 'orders:list'] } }, reply)
  app.get('/staff-orders', { config: { roles: ['auditor'], scope: ['orders:read'] } }, reply)
  app.get('/either', { config: { anyOf: [{ roles: ['auditor'] }, { scope: ['orders:read', 'orders:list'] }] } }, reply)
  app.get('/either-and', { config: { scope: ['more'], anyOf: [{ roles: ['auditor'] }, { scope: ['a'] }] } }, reply)
  app.get('/both-in-one', { config: { anyOf: [{ roles: ['auditor'], scope: ['a'] }, { scope: ['b'] }] } }, reply)
  app.get('/recent', { config: { maxAuthAge: 300 } }, reply)
  app.get('/recent-staff', { config: { maxAuthAge: 300, roles: ['auditor'] } }, reply)
  app.get('/live', { config: { auth: 'live' } }, reply)
  app.get('/live-staff', { config: { auth: 'live', roles: ['auditor'] } }, reply)
  app.get('/live-recent', { config: { auth: 'live', maxAuthAge: 300 } }, reply)
}

const now = systemClock()
const server = await startApp(t, { routes, now: () => now })
const { app, database } = server
const mint = await serverMint(server, now)

t.test('a route asks for any one of its roles and all of its scopes; who lacks them is told 403', async (t) => {
  const CASES: [url: string, claims: object, status: number][] = [
    ['/staff', { roles: ['auditor'] }, 200],
    ['/staff', { roles: ['x', 'support'] }, 200],
    ['/staff', { roles: ['x'] }, 403],
    ['/staff', { roles: ['auditors', 'audit', 'Auditor'] }, 403],
    ['/staff', {}, 403],
    ['/staff', { scope: 'auditor' }, 403],
    ['/orders', { scope: 'orders:read orders:list' }, 200],
    ['/orders', { scope: 'x orders:list y orders:read' }, 200],
    ['/orders', { scope: 'orders:read' }, 403],
    ['/orders', { scope: 'orders:read orders:lists' }, 403],
    ['/orders', { scope: 'Orders:read orders:list' }, 403],
    ['/orders', {}, 403],
    ['/orders', { roles: ['orders:read', 'orders:list'] }, 403],
    ['/staff-orders', { roles: ['auditor'], scope: 'orders:read' }, 200],
    ['/staff-orders', { roles: ['auditor'] }, 403],
    ['/staff-orders', { scope: 'orders:read' }, 403],
    ['/either', { roles: ['auditor'] }, 200],
    ['/either', { scope: 'orders:list x orders:read' }, 200],
    ['/either', { roles: ['auditor'], scope: 'orders:read' }, 200],
    ['/either', { scope: 'orders:read' }, 403],
    ['/either', { roles: ['orders:read', 'orders:list'], scope: 'auditor' }, 403],
    ['/either', {}, 403],
    ['/either-and', { roles: ['auditor'] }, 403],
    ['/either-and', { scope: 'a' }, 403],
    ['/either-and', { scope: 'more' }, 403],
    ['/either-and', { scope: 'more a' }, 200],
    ['/either-and', { scope: 'more', roles: ['auditor'] }, 200],
    ['/both-in-one', { roles: ['auditor'] }, 403],
    ['/both-in-one', { scope: 'a' }, 403],
    ['/both-in-one', { roles: ['auditor'], scope: 'a' }, 200],
    ['/both-in-one', { scope: 'b' }, 200],
    ['/plain', {}, 200],
  ]
  for (const [url, claims, status] of CASES) {
    const answer = await app.inject({ url, headers: bearer(mint.token({ claims })) })
    t.equal(answer.statusCode, status, `${url} ${JSON.stringify(claims)}`)
    if (status === 403) t.equal(answer.json().code, 'insufficient_scope')
  }
})

t.test('the challenge of a 403 names the scope that is needed (RFC 6750 section 3)', async (t) => {
  const challenge = async (url: string) => {
    const answer = await app.inject({ url, headers: bearer(mint.token()) })
    t.equal(answer.headers['cache-control'], 'no-store')
    return answer.headers['www-authenticate']
  }
  const start =
    /^Bearer realm="signet", error="insufficient_scope", error_description="[^"]+", resource_metadata="[^"]+"/
  t.match(await challenge('/orders'), new RegExp(`${start.source}, scope="orders:read orders:list"$`))
  t.match(await challenge('/either'), new RegExp(`${start.source}, scope="orders:read orders:list"$`))
  t.match(await challenge('/staff'), new RegExp(`${start.source}$`), 'a role is nothing that a client can ask for')
})

t.test('a route may ask for a recent login: older ones get the challenge of RFC 9470 with max_age', async (t) => {
  const answerTo = (url: string, claims: object) => app.inject({ url, headers: bearer(mint.token({ claims })) })
  for (const age of [0, 299, 300])
    t.equal((await answerTo('/recent', { auth_time: now - age })).statusCode, 200, `${age}`)
  for (const claims of [{ auth_time: now - 301 }, { auth_time: 0 }, {}]) {
    const refused = await answerTo('/recent', claims)
    t.match(refused.json(), { status: 401, code: 'insufficient_user_authentication' }, JSON.stringify(claims))
    t.match(
      refused.headers['www-authenticate'],
      new RegExp(
        '^Bearer realm="signet", error="insufficient_user_authentication", error_description="[^"]+", ' +
          'resource_metadata="[^"]+", max_age="300"$',
      ),
    )
  }
  const both = await answerTo('/recent-staff', { auth_time: now - 301 })
  t.equal(both.statusCode, 401, 'logging in again is worth trying first')
  t.equal((await answerTo('/recent-staff', { auth_time: now })).statusCode, 403)
  t.equal((await answerTo('/recent-staff', { auth_time: now, roles: ['auditor'] })).statusCode, 200)
})

t.test('who may not is told only after the token is known to be good', async (t) => {
  const forged = mint.token({ claims: { roles: ['auditor'] } }, () => Buffer.alloc(256, 1))
  for (const url of ['/staff', '/orders', '/recent', '/live']) {
    t.equal((await app.inject(url)).json().code, 'missing_token', url)
    t.equal((await app.inject({ url, headers: bearer(forged) })).json().code, 'invalid_token', url)
  }
})

/** Changes of rows without a revocation, so that only a live check can notice them. */
const BEHIND_ITS_BACK: [what: string, sql: string, by: (person: User, sid: string) => string, code: string][] = [
  ['the session ended', 'UPDATE sessions SET ended_at = 1 WHERE id = $1', (_, sid) => sid, 'invalid_token'],
  ['the session is gone', 'DELETE FROM sessions WHERE id = $1', (_, sid) => sid, 'invalid_token'],
  ['the session expired', 'UPDATE sessions SET expires_at = 1 WHERE id = $1', (_, sid) => sid, 'invalid_token'],
  ['the account is gone', 'DELETE FROM accounts WHERE id = $1', ({ id }) => id, 'invalid_token'],
  [
    'the account is suspended',
    "UPDATE accounts SET status = 'suspended' WHERE id = $1",
    ({ id }) => id,
    'invalid_token',
  ],
  ['the roles changed', 'UPDATE accounts SET token_version = 7 WHERE id = $1', ({ id }) => id, 'token_stale'],
]
for (const [what, sql, by, code] of BEHIND_ITS_BACK) {
  t.test(`a live route looks at the rows: when ${what}, the token that is good elsewhere is refused`, async (t) => {
    const person = await signUp(app)
    t.equal((await call(app, person.access_token, 'GET', '/live')).statusCode, 200)
    const { sid } = (await call(app, person.access_token, 'GET', '/v1/me')).json()
    await database.query(sql, [by(person, sid)])

    t.same(await standing(app, person.access_token), [200, undefined], 'the set knows nothing')
    const refused = await call(app, person.access_token, 'GET', '/live')
    t.match(refused.json(), { status: 401, code })
    t.match(refused.headers['www-authenticate'], 'error="invalid_token"')
  })
}

t.test('a live route takes no token without a session, nor one with the session of somebody else', async (t) => {
  const [ada, ben] = [await signUp(server.app), await signUp(server.app)]
  const { sid } = (await call(server.app, ben.access_token, 'GET', '/v1/me')).json()
  const live = async (claims: object) => {
    const answer = await call(server.app, mint.token({ claims }), 'GET', '/live')
    return [answer.statusCode, answer.json().code]
  }
  t.same(await live({ sub: ben.id, sid, token_version: 1 }), [200, undefined])
  for (const claims of [
    { sub: ben.id, token_version: 1 },
    { sub: ada.id, sid, token_version: 1 },
    { sub: ben.id, sid: 'A'.repeat(22), token_version: 1 },
  ])
    t.same(await live(claims), [401, 'invalid_token'], JSON.stringify(claims))
  for (const claims of [
    { sub: ben.id, sid },
    { sub: ben.id, sid, token_version: 2 },
  ])
    t.same(await live(claims), [401, 'token_stale'], JSON.stringify(claims))
})

t.test('with the store down live routes answer 503, others go on, and who may not is told so without it', async (t) => {
  const { app, link } = await anotherNode(t, server, { routes })
  const { access_token: access } = await signUp(server.app)
  link.cut = true
  const down = await call(app, access, 'GET', '/live')
  t.match(down.json(), { status: 503, code: 'store_unavailable' })
  t.match(down.headers['retry-after'], /^\d+$/)
  t.equal((await call(app, access, 'GET', '/plain')).statusCode, 200)
  t.equal((await call(app, access, 'GET', '/live-staff')).statusCode, 403)
  link.cut = false
  t.equal((await call(app, access, 'GET', '/live')).statusCode, 200)
  t.equal((await call(app, access, 'GET', '/live-recent')).statusCode, 200)
})

t.test('a look that fails for a reason of our own is 500, and nobody gets in by it', async (t) => {
  const { app, database }: TestServer = await startApp(t, { routes })
  const { access_token: access } = await signUp(app)
  await database.query('ALTER TABLE sessions RENAME COLUMN ended_at TO ended')
  const broken = await call(app, access, 'GET', '/live')
  t.match(broken.json(), { status: 500, code: 'internal' })
})

/** Mistakes that leave a route more open than it looks, or make it answer 500 to every request. */
const SLIPS: object[] = [
  ...[{ roles: 'admin' }, { roles: [] }, { roles: [''] }, { roles: [1] }, { roles: null }, { roles: undefined }],
  ...[{ scope: 'a b' }, { scope: [] }, { scope: ['a b'] }, { scope: [undefined] }, { scope: undefined }],
  ...[{ maxAuthAge: Number.NaN }, { maxAuthAge: '300' }, { maxAuthAge: '5m' }, { maxAuthAge: -1 }, { maxAuthAge: 0.5 }],
  ...[null, undefined, {}, [], ['admin'], [[]], [{}], [null], [{ roles: ['a'] }, {}]].map((anyOf) => ({ anyOf })),
  ...[{ roles: [] }, { roles: undefined }, { roles: 'a' }, { scope: ['a b'] }].map((one) => ({ anyOf: [one] })),
  ...[{ role: ['a'] }, { scopes: ['a'] }, { maxAuthAge: 60 }, { anyOf: [{ roles: ['a'] }] }].map((one) => ({
    anyOf: [{ roles: ['b'] }, one],
  })),
  ...[{ roles: ['a'], anyof: [] }, { any_of: [] }, { anyOff: [] }],
  ...[{ roles: ['a'] }, { scope: ['a'] }, { anyOf: [{ roles: ['a'] }] }, { maxAuthAge: 60 }].map((demand) => ({
    auth: 'public',
    ...demand,
  })),
]
t.test('a route whose demands would not be asked does not boot', async (t) => {
  for (const config of SLIPS) {
    await t.rejects(bootsWith(t, config), { name: 'TypeError', message: /\/mine: config\./ }, JSON.stringify(config))
  }
})
