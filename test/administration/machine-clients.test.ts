import t from 'tap'
import { ADMIN_SCOPES } from '../../src/administration/admin-scopes.ts'
import { clientToken, tokenOf } from '../support/oauth.ts'
import { call } from '../support/people.ts'
import { machineStage, OTHERS, SERVER, SETS } from './machine-stage.ts'

// A machine that administers clients never makes, takes over or switches one that may do more than itself.

const { app, database, admin, rows, newClient, tokenWith, ask } = await machineStage(t)

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
  t.ok(made > 30, `${made}`)
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
    const writes = Object.entries(rows).filter(
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
