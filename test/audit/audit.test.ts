import t from 'tap'
import type { AuditEvent } from '../../src/audit/audit.ts'
import type { App } from '../../src/http/app-type.ts'
import { bearer, PASSWORD, startApp, type TestServer } from '../support/app.ts'
import { refreshed, signUp, signUpAdmin, type User } from '../support/front-door.ts'

const NEXT = 'a new horse battery staple'
const AGENT = 'Test Browser/1.0'
const IP = '192.0.2.7'
const START = 1_800_000_000

interface Scene extends TestServer {
  readonly admin: User
  /** Registered and logged in before the event. */
  readonly person: User
  readonly sid: string
  readonly clock: { now: number }
  send(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, payload?: object, token?: string): Promise<Reply>
}
type Reply = Awaited<ReturnType<App['inject']>>

interface Expected {
  readonly event: AuditEvent
  /** Who, other than the person: null for nobody that is known. */
  readonly account?: 'new' | null
  readonly session?: 'own' | 'new' | null
  readonly byAdmin?: true
  /** What happens before the event, in the same scene. */
  readonly prepare?: (scene: Scene) => Promise<unknown>
  readonly detail?: object
  readonly level?: 'warn'
}

const patch =
  (payload: object) =>
  ({ send, person, admin }: Scene) =>
    send('PATCH', `/v1/admin/accounts/${person.id}`, payload, admin.access_token)
const login = (password: string, more?: object) => (scene: Scene) =>
  scene.send('POST', '/v1/login', { email: scene.person.email, password, ...more })
const COOKIE = { transport: 'cookie' }

const EVENTS: [what: string, act: (scene: Scene) => Promise<Reply>, status: number, expected: Expected][] = [
  [
    'a registration',
    ({ send }) => send('POST', '/v1/accounts', { email: 'new@example.com', password: PASSWORD }),
    201,
    { event: 'account_registered', account: 'new' },
  ],
  ['a login', login(PASSWORD), 200, { event: 'login_succeeded', session: 'new' }],
  ['a cookie login', login(PASSWORD, COOKIE), 200, { event: 'login_succeeded', session: 'new', detail: COOKIE }],
  ['a wrong password', login(NEXT), 401, { event: 'login_failed', detail: { reason: 'wrong password' } }],
  [
    'an unknown email',
    ({ send }) => send('POST', '/v1/login', { email: 'nobody@example.com', password: PASSWORD }),
    401,
    { event: 'login_failed', account: null, detail: { reason: 'unknown email' } },
  ],
  [
    'a refresh token that comes back late',
    async ({ app, person, clock, send }) => {
      await refreshed(app, person, { userAgent: 'another' })
      clock.now += 11
      return send('POST', '/v1/refresh', { refresh_token: person.refresh_token })
    },
    401,
    {
      event: 'refresh_token_reused',
      session: 'own',
      level: 'warn',
      detail: { last_ip: '127.0.0.1', last_user_agent: 'another' },
    },
  ],
  [
    'a refresh whose answer was lost',
    async ({ app, person, clock, send }) => {
      await refreshed(app, person, { ip: '192.0.2.9', userAgent: AGENT })
      clock.now += 11
      return send('POST', '/v1/refresh', { refresh_token: person.refresh_token })
    },
    200,
    {
      event: 'refresh_token_retried',
      session: 'own',
      detail: { last_ip: '192.0.2.9', last_user_agent: AGENT },
    },
  ],
  [
    'a refresh token that somebody else repeats',
    async ({ app, person, send }) => {
      await refreshed(app, person, { ip: '192.0.2.9', userAgent: 'another' })
      return send('POST', '/v1/refresh', { refresh_token: person.refresh_token })
    },
    200,
    {
      event: 'refresh_token_repeated',
      session: 'own',
      detail: { last_ip: '192.0.2.9', last_user_agent: 'another', in_a_row: 1 },
    },
  ],
  [
    'a logout',
    ({ send, person }) => send('POST', '/v1/logout', {}, person.access_token),
    204,
    { event: 'logout', session: 'own', detail: { scope: 'session' } },
  ],
  [
    'a logout everywhere',
    ({ send, person }) => send('POST', '/v1/logout', { scope: 'all' }, person.access_token),
    204,
    { event: 'logout', session: 'own', detail: { scope: 'all' } },
  ],
  [
    'the end of one session',
    ({ send, person, sid }) => send('DELETE', `/v1/sessions/${sid}`, undefined, person.access_token),
    204,
    { event: 'session_ended', session: 'own' },
  ],
  [
    'a new password',
    ({ send, person }) =>
      send('PUT', '/v1/me/password', { current_password: PASSWORD, new_password: NEXT }, person.access_token),
    200,
    { event: 'password_changed', session: 'own' },
  ],
  [
    'a wrong current password',
    ({ send, person }) =>
      send('PUT', '/v1/me/password', { current_password: NEXT, new_password: PASSWORD }, person.access_token),
    401,
    {
      event: 'password_change_failed',
      session: 'own',
      detail: { reason: 'the current password is wrong' },
    },
  ],
  [
    'new roles',
    patch({ roles: ['auditor', 'support'] }),
    200,
    { event: 'roles_changed', byAdmin: true, detail: { roles: ['auditor', 'support'], roles_before: [] } },
  ],
  [
    'a suspension',
    patch({ status: 'suspended', roles: [] }),
    200,
    { event: 'account_suspended', byAdmin: true, detail: { status: 'suspended', status_before: 'active' } },
  ],
  [
    'an activation',
    patch({ status: 'active' }),
    200,
    {
      event: 'account_activated',
      prepare: patch({ status: 'suspended' }),
      byAdmin: true,
      detail: { status: 'active', status_before: 'suspended' },
    },
  ],
  [
    'a revocation by an admin',
    ({ send, person, admin }) => send('POST', `/v1/admin/accounts/${person.id}/revoke`, undefined, admin.access_token),
    204,
    { event: 'account_revoked', byAdmin: true },
  ],
  [
    'a deletion',
    ({ send, person }) => send('DELETE', '/v1/me', undefined, person.access_token),
    204,
    { event: 'account_deleted', session: 'own' },
  ],
]

const clock = { now: START }
const server = await startApp(t, { now: () => clock.now, env: { LOG_LEVEL: 'trace' } })
const admin = await signUpAdmin(server)

for (const [what, act, status, expected] of EVENTS) {
  t.test(`${what} leaves one row and one line that say who, what, when and from where`, async (t) => {
    const scene = await stage()
    await expected.prepare?.(scene)
    const rows = () => scene.database.query('SELECT * FROM audit_events ORDER BY at')
    const before = new Set((await rows()).map(({ id }) => id))
    scene.log.length = 0
    const reply = await act(scene)
    t.equal(reply.statusCode, status)

    const created = (await rows()).filter(({ id }) => !before.has(id))
    const lines = scene.log.map((line) => JSON.parse(line)).filter(({ event }) => event !== undefined)
    const { account, session, byAdmin, detail = {}, level = 'info', event } = expected
    const accountId = account === null ? null : account === 'new' ? reply.json().id : scene.person.id
    const newSession = session === 'new' ? sidOf(reply.json().access_token) : null
    const who = {
      account_id: accountId,
      session_id: session === 'own' ? scene.sid : newSession,
      actor_id: byAdmin ? scene.admin.id : null,
      ip: IP,
      user_agent: AGENT,
      request_id: reply.headers['x-request-id'],
    }
    t.same(
      created.map(({ id: _, detail, ...row }) => ({ ...row, detail: JSON.parse(String(detail)) })),
      [{ at: scene.clock.now, event, ...who, detail }],
    )
    const known = Object.fromEntries(Object.entries(who).filter(([, value]) => value !== null))
    t.equal(lines.length, 1)
    t.match(lines[0], { level, time: /Z$/, msg: event, event, ...known, ...detail })
    t.same(
      Object.keys(lines[0]).filter((name) => name.endsWith('_id') && name !== 'request_id' && !(name in known)),
      [],
    )
    t.same(await leaks(scene, reply), [], 'and no secret')
  })
}

/** A person who has just logged in. */
async function stage(): Promise<Scene> {
  const send: Scene['send'] = (method, url, payload, token) =>
    server.app.inject({
      method,
      url,
      remoteAddress: IP,
      headers: { 'user-agent': AGENT, ...(token !== undefined && bearer(token)) },
      ...(payload && { payload }),
    })
  const person = await signUp(server.app)
  clock.now += 5
  return { ...server, admin, person, sid: sidOf(person.access_token), clock, send }
}

function sidOf(token: string): string {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sid
}

/** Names of what must not be in any row or line, and is. */
async function leaks({ database, log, person, admin }: Scene, reply: Reply): Promise<string[]> {
  const { access_token = '', refresh_token = '' } = reply.body === '' ? {} : reply.json()
  const tokens = [person, admin, { access_token, refresh_token }].flatMap((one) => [
    one.access_token,
    one.refresh_token,
  ])
  const hashes = (await database.query('SELECT password_hash FROM accounts')).map((row) => String(row.password_hash))
  const secrets = { password: [PASSWORD], 'next password': [NEXT], email: ['example.com'], token: tokens, hash: hashes }
  const text = log.join('') + JSON.stringify(await database.query('SELECT * FROM audit_events'))
  return Object.entries(secrets).flatMap(([name, values]) =>
    values.some((value) => value !== '' && text.includes(value.slice(-40))) ? [name] : [],
  )
}
