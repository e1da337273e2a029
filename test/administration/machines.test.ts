import t from 'tap'
import { ADMIN_SCOPES } from '../../src/administration/admin-scopes.ts'
import { claimsOf, logIn, refreshVerdict, signUp, signUpAdmin } from '../support/front-door.ts'
import { serverMint } from '../support/mint.ts'
import { NOW, type Registered, tokenOf } from '../support/oauth.ts'
import { call, withRoles } from '../support/people.ts'
import { machineStage, SETS } from './machine-stage.ts'

// What a machine may do below /v1/admin: what its token says, and never give more than it has. Each route has a row
// in machine-stage.ts, and a new one without a row fails.

const { server, app, database, routes, admin, machine, rows, newClient, account, tokenWith, ask, rowsBy } =
  await machineStage(t)

t.test('every route below /v1/admin has a row here, and asks for the role admin or the scope of the row', async (t) => {
  const found = routes.filter(({ method, url }) => url.startsWith('/v1/admin') && method !== 'HEAD')
  t.same(found.map(({ method, url }) => `${method} ${url}`).toSorted(), Object.keys(rows).toSorted())
  for (const { method, url, config } of found) {
    const { scope, reads } = rows[`${method} ${url}`] ?? {}
    t.same(config?.anyOf, [{ roles: ['admin'] }, { scope: [scope] }], `${method} ${url}`)
    t.equal(config?.auth, reads ? undefined : 'live', `${method} ${url}`)
  }
})

for (const [name, row] of Object.entries(rows)) {
  t.test(`${name}: of sets of scopes those with ${row.scope} get in, and the trail names the client`, async (t) => {
    for (const set of SETS) {
      const before = await rowsBy(machine.id)
      const reply = await ask(name, await tokenWith(set), row)
      const may = set.includes(row.scope)
      t.equal(reply.statusCode, may ? row.good : 403, set.join(' '))
      if (may) t.equal((await rowsBy(machine.id)) - before, row.reads ? 0 : 1, set.join(' '))
      else t.match(reply.headers['www-authenticate'], `error="insufficient_scope"`)
    }
  })
}

t.test('a person needs the role admin, and no other role and no role by the name of a scope helps', async (t) => {
  const person = await withRoles(server, await signUp(app), ['support', 'administrator'])
  for (const [name, row] of Object.entries(rows)) {
    t.equal((await ask(name, admin.access_token, row)).statusCode, row.good, name)
    t.equal((await ask(name, person.access_token, row)).statusCode, 403, name)
  }
})

/** Everything of the accounts with the role admin that a machine must not touch. */
const admins = () =>
  database.query(`SELECT a.*, s.id AS session, s.ended_at FROM accounts a LEFT JOIN sessions s ON s.account_id = a.id
    WHERE a.roles LIKE '%"admin"%' ORDER BY a.id, s.id`)

t.test(
  'a machine touches no account with the role admin, whatever it asks for; also not a suspended one',
  async (t) => {
    const other = await signUpAdmin(server)
    const suspended = await signUpAdmin(server)
    const change = {
      method: 'PATCH',
      url: `/v1/admin/accounts/${suspended.id}`,
      payload: { status: 'suspended' },
    } as const
    await app.inject({ ...change, headers: { authorization: `Bearer ${admin.access_token}` } })
    const token = await tokenWith(ADMIN_SCOPES)
    const before = await admins()
    const writesAccounts = Object.entries(rows).filter(([, row]) => row.scope === 'signet:accounts:write')
    const writes = writesAccounts.filter(([name]) => name.includes('/:id')) // the other one makes an account
    t.equal(writes.length, 5)
    const BODIES = [{ status: 'active' }, { status: 'suspended' }, { roles: [] }, { roles: ['admin'] }]
    for (const target of [other, suspended]) {
      const path = { id: target.id, sid: claimsOf(target).sid }
      for (const [name, row] of writes)
        for (const body of name.startsWith('PATCH') ? BODIES : [undefined]) {
          const reply = await ask(name, token, { ...row, ...(body && { body }), target: async () => path })
          t.match(reply.json(), { status: 403, code: 'insufficient_scope', detail: /admin/ }, `${name} ${body}`)
        }
    }
    t.same(await admins(), before)
    t.equal(await refreshVerdict(app, other), 'good')
  },
)

t.test('a machine gives no role, and may take some away', async (t) => {
  const token = await tokenWith(ADMIN_SCOPES)
  const CASES: [has: string[], body: { roles: string[]; status?: string }, status: number][] = [
    [[], { roles: ['admin'] }, 403],
    [[], { roles: ['support'] }, 403],
    [[], { roles: ['admin'], status: 'suspended' }, 403],
    [[], { roles: ['signet'] }, 403],
    [['support'], { roles: ['support', 'admin'] }, 403],
    [['support'], { roles: ['auditor'] }, 403],
    [['support', 'auditor'], { roles: ['auditor'] }, 200],
    [['support'], { roles: ['support'], status: 'suspended' }, 200],
    [['support'], { roles: [] }, 200],
    [[], { roles: [] }, 200],
  ]
  for (const [has, body, status] of CASES) {
    const person = await withRoles(server, await signUp(app), has)
    const reply = await call(app, token, 'PATCH', `/v1/admin/accounts/${person.id}`, body)
    t.equal(reply.statusCode, status, `${has} ${JSON.stringify(body)}`)
    const [row] = await database.query('SELECT roles, status FROM accounts WHERE id = $1', [person.id])
    const expected =
      status === 200 ? { roles: body.roles, status: body.status ?? 'active' } : { roles: has, status: 'active' }
    t.same({ ...row, roles: JSON.parse(String(row?.roles)) }, expected)
  }
})

t.test('a token of a person that has a scope, and not the role, is bound like that of a machine', async (t) => {
  const person = await signUp(app)
  const mint = await serverMint(server, NOW)
  const { sid, token_version } = claimsOf(person)
  const claims = { sub: person.id, sid, token_version, scope: ADMIN_SCOPES.join(' ') }
  const own = `/v1/admin/accounts/${person.id}`
  const patched = await call(app, mint.token({ claims }), 'PATCH', own, { roles: ['admin'] })
  t.equal(patched.statusCode, 403)
  const made = await call(app, mint.token({ claims }), 'POST', '/v1/admin/clients', { name: 'x', scope: 'more' })
  t.equal(made.statusCode, 403)
})

t.test('a machine that is disabled writes no more at once, and one that is not there is 404 for it too', async (t) => {
  const one: Registered = await newClient('signet:accounts:write signet:clients:write')
  const token = await tokenOf(app, one)
  for (const [name, { scope, body }] of Object.entries(rows).filter(([name]) => name.includes(':id'))) {
    if (!scope.endsWith(':write')) continue
    const reply = await ask(name, token, { body: body ?? {}, target: async () => ({ id: 'nobody', sid: 'none' }) })
    t.match(reply.json(), { status: 404, code: 'not_found' }, name)
  }
  const { id } = await account()
  await database.query("UPDATE clients SET status = 'disabled' WHERE id = $1", [one.id])
  t.equal((await call(app, token, 'DELETE', `/v1/admin/accounts/${id}`)).statusCode, 401)
  t.equal((await database.query('SELECT id FROM accounts WHERE id = $1', [id])).length, 1)
})

t.test('a machine deletes nobody who was made an admin after it had looked', async (t) => {
  const person = await signUp(app)
  const token = await tokenWith(ADMIN_SCOPES)
  const original = database.transaction
  let raced = false
  database.transaction = async (statements, notify) => {
    if (!raced && statements.some(({ sql }) => sql.includes('DELETE FROM accounts'))) {
      raced = true
      await call(app, admin.access_token, 'PATCH', `/v1/admin/accounts/${person.id}`, { roles: ['admin'] })
    }
    return original.call(database, statements, notify)
  }
  t.teardown(() => Object.assign(database, { transaction: original }))
  const reply = await call(app, token, 'DELETE', `/v1/admin/accounts/${person.id}`)
  t.same([raced, reply.statusCode], [true, 403])
  t.ok(await logIn(app, person.email))
})
