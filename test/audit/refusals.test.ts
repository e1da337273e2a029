import t from 'tap'
import { ADMIN_SCOPES } from '../../src/administration/admin-scopes.ts'
import type { AuditEvent } from '../../src/audit/audit.ts'
import { anotherNode } from '../support/another-node.ts'
import { bearer, PASSWORD, type startApp } from '../support/app.ts'
import { claimsOf, serverAt, signUp, signUpAdmin, type User } from '../support/front-door.ts'
import { NOW, register, tokenOf } from '../support/oauth.ts'

// A refused attempt to change a role, a status or a password is in the trail too: who, what, and what it was before.

const server = await serverAt(t, NOW)
const { app, database } = server
const machine = await register(server, { scope: ADMIN_SCOPES.join(' ') })
const strong = await register(server, { scope: 'read' })
const machineToken = await tokenOf(app, machine)
const admin = await signUpAdmin(server)

type Reply = Awaited<ReturnType<Awaited<ReturnType<typeof startApp>>['app']['inject']>>
const send = (
  by: string,
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  url: string,
  payload?: object,
  on = app,
) => on.inject({ method, url, headers: bearer(by), ...(payload && { payload }) })
const accounts = '/v1/admin/accounts'

interface Expected {
  readonly status: number
  readonly event: AuditEvent
  readonly account?: string
  readonly session?: string
  readonly actor?: string
  readonly detail: object
}
const ADMIN_BEFORE = { status_before: 'active', roles_before: ['admin'] }

/** Who may not use a route at all. */
const denied = (person: User, { attempt, ...more }: { attempt: string; target?: string }): Expected => ({
  status: 403,
  event: 'administration_refused',
  actor: person.id,
  session: claimsOf(person).sid,
  detail: { attempt, reason: 'insufficient_scope', ...more },
})

const CASES: [what: string, act: (person: User) => Promise<Reply>, expected: (person: User) => Expected][] = [
  [
    'somebody who is no admin makes himself one',
    (person) => send(person.access_token, 'PATCH', `${accounts}/${person.id}`, { roles: ['admin'] }),
    (person) => denied(person, { attempt: `PATCH ${accounts}/:id`, target: person.id }),
  ],
  [
    'somebody who is no admin reads the trail',
    (person) => send(person.access_token, 'GET', '/v1/admin/audit'),
    (person) => denied(person, { attempt: 'GET /v1/admin/audit' }),
  ],
  [
    'the last admin steps down',
    () => send(admin.access_token, 'PATCH', `${accounts}/${admin.id}`, { roles: ['support'], status: 'suspended' }),
    () => ({
      status: 409,
      event: 'administration_refused',
      account: admin.id,
      actor: admin.id,
      detail: {
        attempt: `PATCH ${accounts}/:id`,
        reason: 'last_admin',
        status: 'suspended',
        roles: ['support'],
        ...ADMIN_BEFORE,
      },
    }),
  ],
  [
    'the last admin is deleted',
    () => send(admin.access_token, 'DELETE', `${accounts}/${admin.id}`),
    () => ({
      status: 409,
      event: 'administration_refused',
      account: admin.id,
      actor: admin.id,
      detail: { attempt: `DELETE ${accounts}/:id`, reason: 'last_admin', ...ADMIN_BEFORE },
    }),
  ],
  [
    'the last admin deletes the own account',
    () => send(admin.access_token, 'DELETE', '/v1/me'),
    () => ({
      status: 409,
      event: 'account_deletion_refused',
      account: admin.id,
      session: claimsOf(admin).sid,
      detail: { reason: 'last_admin' },
    }),
  ],
  [
    'a machine gives a role',
    (person) => send(machineToken, 'PATCH', `${accounts}/${person.id}`, { roles: ['support'] }),
    (person) => ({
      status: 403,
      event: 'administration_refused',
      account: person.id,
      actor: machine.id,
      detail: {
        attempt: `PATCH ${accounts}/:id`,
        reason: 'insufficient_scope',
        roles: ['support'],
        status_before: 'active',
        roles_before: [],
      },
    }),
  ],
  [
    'a machine ends the session of an admin',
    () => send(machineToken, 'DELETE', `${accounts}/${admin.id}/sessions/${claimsOf(admin).sid}`),
    () => ({
      status: 403,
      event: 'administration_refused',
      account: admin.id,
      actor: machine.id,
      detail: { attempt: `DELETE ${accounts}/:id/sessions/:sid`, reason: 'insufficient_scope', ...ADMIN_BEFORE },
    }),
  ],
  [
    'a machine takes over a client',
    () => send(machineToken, 'POST', `/v1/admin/clients/${strong.id}/rotate-secret`, {}),
    () => ({
      status: 403,
      event: 'administration_refused',
      actor: machine.id,
      detail: {
        attempt: 'POST /v1/admin/clients/:id/rotate-secret',
        reason: 'insufficient_scope',
        client_id: strong.id,
      },
    }),
  ],
  [
    'a machine makes a client with more than it has',
    () => send(machineToken, 'POST', '/v1/admin/clients', { name: 'x', scope: 'orders:write', audience: ['a'] }),
    () => ({
      status: 403,
      event: 'administration_refused',
      actor: machine.id,
      detail: {
        attempt: 'POST /v1/admin/clients',
        reason: 'insufficient_scope',
        scope: 'orders:write',
        audience: ['a'],
      },
    }),
  ],
  [
    'a new password that is not acceptable',
    (person) =>
      send(person.access_token, 'PUT', '/v1/me/password', { current_password: PASSWORD, new_password: 'short' }),
    (person) => ({
      status: 422,
      event: 'password_change_refused',
      account: person.id,
      session: claimsOf(person).sid,
      detail: { reason: 'password_unacceptable' },
    }),
  ],
  [
    'somebody who is no admin names no account, but something with a control character',
    (person) => send(person.access_token, 'PATCH', `${accounts}/a%C2%85b`, { roles: ['admin'] }),
    (person) => denied(person, { attempt: `PATCH ${accounts}/:id` }),
  ],
]

const rows = () => database.query('SELECT * FROM audit_events')

for (const [what, act, expect] of CASES) {
  t.test(`${what}: refused, with one row and one line`, async (t) => {
    server.pass(60)
    const person = await signUp(app)
    const before = new Set((await rows()).map(({ id }) => id))
    server.log.length = 0
    const reply = await act(person)
    const { status, event, account, session, actor, detail } = expect(person)
    t.equal(reply.statusCode, status)
    const added = (await rows()).filter(({ id }) => !before.has(id))
    t.same(
      added.map(({ event, account_id, session_id, actor_id, detail }) => ({
        event,
        account_id,
        session_id,
        actor_id,
        detail: JSON.parse(String(detail)),
      })),
      [{ event, account_id: account ?? null, session_id: session ?? null, actor_id: actor ?? null, detail }],
    )
    const lines = server.log.map((line) => JSON.parse(line)).filter((line) => line.event !== undefined)
    t.equal(lines.length, 1)
    t.match(lines[0], { event, ...detail })
  })
}

t.test('one of two changes of a password at once is refused, and in the trail', async (t) => {
  const person = await signUp(app)
  const change = (next: string) =>
    send(person.access_token, 'PUT', '/v1/me/password', { current_password: PASSWORD, new_password: next })
  const replies = await Promise.all([change('a new horse battery one'), change('a new horse battery two')])
  t.same(replies.map(({ statusCode }) => statusCode).toSorted(), [200, 409])
  const trail = await database.query(
    "SELECT event, detail FROM audit_events WHERE account_id = $1 AND event LIKE 'password%' ORDER BY event",
    [person.id],
  )
  t.same(trail, [
    { event: 'password_change_refused', detail: JSON.stringify({ reason: 'password_changed_meanwhile' }) },
    { event: 'password_changed', detail: '{}' },
  ])
})

t.test('nobody fills the trail: sixty rows a minute from one network, and the rest only in the log', async (t) => {
  server.pass(60)
  const person = await signUp(app)
  const attempt = (ip: string) =>
    app.inject({ url: '/v1/admin/accounts', remoteAddress: ip, headers: bearer(person.access_token) })
  const count = async () =>
    (await database.query('SELECT COUNT(*) AS n FROM audit_events WHERE actor_id = $1', [person.id]))[0]?.n
  server.log.length = 0
  for (let i = 0; i < 70; i += 1) t.equal((await attempt('192.0.2.7')).statusCode, 403)
  t.equal(await count(), 60)
  t.equal(server.log.filter((line) => line.includes('administration_refused')).length, 70)
  await attempt('192.0.2.8')
  t.equal(await count(), 61, 'another network has its own')
  server.pass(60)
  await attempt('192.0.2.7')
  t.equal(await count(), 62)
})

t.test('with the store down who may not is told so, and the log says that the row is missing', async (t) => {
  server.pass(60)
  const person = await signUp(app)
  const { app: other, link, log } = await anotherNode(t, server, { now: server.now })
  link.cut = true
  t.equal((await send(person.access_token, 'GET', accounts, undefined, other)).statusCode, 403)
  t.ok(log.some((line) => line.includes('a refusal can not be written into the audit trail')))
})

t.test('without a good token there is nobody to name, and no row', async (t) => {
  const before = await rows()
  for (const token of ['', 'x', `${admin.access_token}x`])
    t.equal((await send(token, 'DELETE', `${accounts}/${admin.id}`)).statusCode, 401)
  t.same(await rows(), before)
})
