import type { RouteOptions } from 'fastify'
import t from 'tap'
import { ADMIN_SCOPES } from '../../src/administration/admin-scopes.ts'
import { registered, startApp } from '../support/app.ts'
import { claimsOf, logIn, refreshVerdict, signUp, signUpAdmin } from '../support/front-door.ts'
import { serverMint } from '../support/mint.ts'
import { clientToken, NOW, type Registered, register, tokenOf } from '../support/oauth.ts'
import { call, withRoles } from '../support/people.ts'

// What a machine may do below /v1/admin: what its token says, and never give more than it has. Each route has a row
// here, and a new one without a row fails.

const OTHERS = 'read'
const SERVER = 'http://127.0.0.1:3000'
const routes: RouteOptions[] = []
const server = await startApp(t, { now: () => NOW, onRoute: (route) => void routes.push(route) })
const { app, database } = server
const admin = await signUpAdmin(server)
const machine = await register(server, { scope: [...ADMIN_SCOPES, OTHERS].join(' ') })

let count = 0
const newAccount = () => {
  count += 1
  return registered(app, `person${count}@example.com`)
}
const newClient = (scope = '', audience: string[] = []) =>
  register(server, { scope, ...(audience.length > 0 && { audience }) })

interface Row {
  /** The scope that lets a machine in. */
  readonly scope: string
  readonly good: number
  /** Fills the path: a target that the machine may touch. Made anew for each call, because a call changes it. */
  readonly target?: () => Promise<Record<string, string>>
  readonly body?: object
  /** What reads leaves no row in the trail. */
  readonly reads?: true
}
const account = async () => ({ id: await newAccount() })
const client = async () => ({ id: (await newClient()).id })
const session = async () => {
  const person = await signUp(app)
  return { id: person.id, sid: claimsOf(person).sid }
}

const ROWS: Readonly<Record<string, Row>> = {
  'GET /v1/admin/accounts': { scope: 'signet:accounts:read', good: 200, reads: true },
  'GET /v1/admin/accounts/:id': { scope: 'signet:accounts:read', good: 200, target: account, reads: true },
  'PATCH /v1/admin/accounts/:id': {
    scope: 'signet:accounts:write',
    good: 200,
    target: account,
    body: { status: 'suspended' },
  },
  'DELETE /v1/admin/accounts/:id': { scope: 'signet:accounts:write', good: 204, target: account },
  'POST /v1/admin/accounts/:id/revoke': { scope: 'signet:accounts:write', good: 204, target: account },
  'GET /v1/admin/accounts/:id/sessions': { scope: 'signet:accounts:read', good: 200, target: account, reads: true },
  'DELETE /v1/admin/accounts/:id/sessions/:sid': { scope: 'signet:accounts:write', good: 204, target: session },
  'GET /v1/admin/clients': { scope: 'signet:clients:read', good: 200, reads: true },
  'POST /v1/admin/clients': { scope: 'signet:clients:write', good: 201, body: { name: 'made' } },
  'GET /v1/admin/clients/:id': { scope: 'signet:clients:read', good: 200, target: client, reads: true },
  'PATCH /v1/admin/clients/:id': {
    scope: 'signet:clients:write',
    good: 200,
    target: client,
    body: { status: 'disabled' },
  },
  'DELETE /v1/admin/clients/:id': { scope: 'signet:clients:write', good: 204, target: client },
  'POST /v1/admin/clients/:id/rotate-secret': { scope: 'signet:clients:write', good: 200, target: client, body: {} },
}

/** Every set of these names. */
const subsets = (names: readonly string[]): string[][] =>
  Array.from({ length: 2 ** names.length }, (_, bits) => names.filter((_, index) => (bits >> index) & 1))
const SETS = subsets(ADMIN_SCOPES)
const tokens = new Map<string, Promise<string>>()
/** A token of the machine with exactly these scopes. */
const tokenWith = (scopes: readonly string[]) => {
  const scope = [...scopes, OTHERS].join(' ')
  if (!tokens.has(scope)) tokens.set(scope, tokenOf(app, machine, { scope }))
  return tokens.get(scope) as Promise<string>
}

async function ask(name: string, token: string, { target, body }: Pick<Row, 'target' | 'body'>) {
  const [method = '', path = ''] = name.split(' ')
  const params = (await target?.()) ?? {}
  const url = path.replaceAll(/:(\w+)/g, (_, param) => params[param] ?? '')
  return call(app, token, method as 'GET', url, body)
}
const rowsBy = async (actor: string) =>
  Number((await database.query('SELECT COUNT(*) AS n FROM audit_events WHERE actor_id = $1', [actor]))[0]?.n)

t.test('every route below /v1/admin has a row here, and asks for the role admin or the scope of the row', async (t) => {
  const found = routes.filter(({ method, url }) => url.startsWith('/v1/admin') && method !== 'HEAD')
  t.same(found.map(({ method, url }) => `${method} ${url}`).toSorted(), Object.keys(ROWS).toSorted())
  for (const { method, url, config } of found) {
    const { scope, reads } = ROWS[`${method} ${url}`] ?? {}
    t.same(config?.anyOf, [{ roles: ['admin'] }, { scope: [scope] }], `${method} ${url}`)
    t.equal(config?.auth, reads ? undefined : 'live', `${method} ${url}`)
  }
})

for (const [name, row] of Object.entries(ROWS)) {
  t.test(`${name}: of all sets of scopes those with ${row.scope} get in, and the trail names the client`, async (t) => {
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
  for (const [name, row] of Object.entries(ROWS)) {
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
    const writes = Object.entries(ROWS).filter(([, row]) => row.scope === 'signet:accounts:write')
    t.equal(writes.length, 4)
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

t.test('a machine makes a client with what its own token has, and with nothing else', async (t) => {
  const before = new Set((await database.query('SELECT id FROM clients')).map(({ id }) => id))
  let made = 0
  for (const has of SETS.filter((set) => set.includes('signet:clients:write'))) {
    const token = await tokenWith(has)
    for (const given of [...SETS, ['read'], ['write'], ['read', 'write']]) {
      const may = given.every((scope) => [...has, OTHERS].includes(scope))
      const reply = await call(app, token, 'POST', '/v1/admin/clients', { name: 'x', scope: given.join(' ') })
      if (reply.statusCode !== (may ? 201 : 403)) t.fail(`${has} gives ${given}: ${reply.body}`)
      made += may ? 1 : 0
    }
  }
  const after = (await database.query('SELECT id FROM clients')).filter(({ id }) => !before.has(id))
  t.equal(after.length, made)
  t.ok(made > 80)
})

t.test(
  'a machine does nothing to a client that may do more than its own token: no secret, no switch, no end',
  async (t) => {
    const has = ['signet:clients:write', 'signet:audit:read']
    const TARGETS: [scope: string, audience: string[], may: boolean][] = [
      ['', [], true],
      ['signet:audit:read read', [], true],
      ['signet:clients:write', [SERVER], true],
      ['signet:accounts:write', [], false],
      ['signet:clients:read', [], false],
      ['read write', [], false],
      ['read', ['https://other.example'], false],
      ['', [SERVER, 'https://other.example'], false],
    ]
    const token = await tokenWith(has)
    const writes = Object.entries(ROWS).filter(
      ([name, { scope }]) => scope === 'signet:clients:write' && name.includes(':id'),
    )
    t.equal(writes.length, 3)
    for (const [scope, audience, may] of TARGETS) {
      for (const [name, row] of writes) {
        const target = await newClient(scope, audience)
        const stored = () =>
          database.query('SELECT * FROM clients c JOIN client_secrets s ON s.client_id = c.id WHERE c.id = $1', [
            target.id,
          ])
        const before = await stored()
        const reply = await ask(name, token, { ...row, target: async () => ({ id: target.id }) })
        t.equal(reply.statusCode, may ? row.good : 403, `${name} ${scope} ${audience}`)
        if (may) continue
        t.match(reply.json(), { code: 'insufficient_scope', detail: /its own token lacks/ })
        t.same(await stored(), before, `${name} ${scope} ${audience}`)
        t.equal((await clientToken(app, target)).statusCode, 200)
      }
      const created = await call(app, token, 'POST', '/v1/admin/clients', {
        name: 'x',
        scope,
        ...(audience.length > 0 && { audience }),
      })
      t.equal(created.statusCode, may ? 201 : 403, `POST ${scope} ${audience}`)
    }
  },
)

t.test('nor does it enable one that an admin disabled, nor get at the keys of one', async (t) => {
  const strong = await newClient('signet:accounts:write')
  await call(app, admin.access_token, 'PATCH', `/v1/admin/clients/${strong.id}`, { status: 'disabled' })
  const token = await tokenWith(['signet:clients:write'])
  const url = `/v1/admin/clients/${strong.id}`
  t.equal((await call(app, token, 'PATCH', url, { status: 'active' })).statusCode, 403)
  for (const body of [{ jwks_uri: 'https://evil.example/keys' }, { jwks: { keys: [] } }, { scope: 'x' }])
    t.equal((await call(app, token, 'PATCH', url, body)).json().code, 'validation_failed', 'keys are never changed')
  t.equal((await clientToken(app, strong)).statusCode, 401)
})

t.test('a machine with a narrower audience gives no wider one, and needs that of this server', async (t) => {
  const wide = await newClient(ADMIN_SCOPES.join(' '), [SERVER, 'https://other.example'])
  const POST = (token: string, audience?: string[]) =>
    call(app, token, 'POST', '/v1/admin/clients', { name: 'x', ...(audience && { audience }) })
  const both = await tokenOf(app, wide)
  t.equal((await POST(both, ['https://other.example'])).statusCode, 201)
  t.equal((await POST(both, ['https://third.example'])).statusCode, 403)
  const narrow = await tokenOf(app, wide, { resource: SERVER })
  t.equal((await POST(narrow, ['https://other.example'])).statusCode, 403)
  t.equal((await POST(narrow)).statusCode, 201)
  const elsewhere = await tokenOf(app, wide, { resource: 'https://other.example' })
  t.equal((await POST(elsewhere)).statusCode, 401)
})

t.test('a machine that is disabled writes no more at once, and one that is not there is 404 for it too', async (t) => {
  const one: Registered = await newClient('signet:accounts:write signet:clients:write')
  const token = await tokenOf(app, one)
  for (const [name, { scope, body }] of Object.entries(ROWS).filter(([name]) => name.includes(':id'))) {
    if (!scope.endsWith(':write')) continue
    const reply = await ask(name, token, { body: body ?? {}, target: async () => ({ id: 'nobody', sid: 'none' }) })
    t.match(reply.json(), { status: 404, code: 'not_found' }, name)
  }
  const { id } = await account()
  await database.query("UPDATE clients SET status = 'disabled' WHERE id = $1", [one.id])
  t.equal((await call(app, token, 'DELETE', `/v1/admin/accounts/${id}`)).statusCode, 401)
  t.equal((await database.query('SELECT id FROM accounts WHERE id = $1', [id])).length, 1)
})

t.test('names that begin with signet: are this server’s: only the known ones can be granted, by anybody', async (t) => {
  const POST = (scope: string) => call(app, admin.access_token, 'POST', '/v1/admin/clients', { name: 'x', scope })
  for (const scope of ADMIN_SCOPES) t.equal((await POST(`read ${scope}`)).statusCode, 201, scope)
  for (const scope of [
    'signet:',
    'signet:admin',
    'signet:accounts',
    'signet:accounts:*',
    'Signet:audit:read',
    'SIGNET:x',
  ])
    t.match((await POST(`read ${scope}`)).json(), { code: 'validation_failed', errors: [{ field: '/scope' }] }, scope)
  for (const scope of ['signet', 'xsignet:admin', 'my.signet:x']) t.equal((await POST(scope)).statusCode, 201, scope)
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
