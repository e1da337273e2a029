import t from 'tap'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import type { App } from '../../src/http/app-type.ts'
import { anotherNode } from '../support/another-node.ts'
import { PASSWORD, startApp, type TestServer } from '../support/app.ts'
import { logIn, refreshed, signUp, signUpAdmin, type User } from '../support/front-door.ts'
import { call, NOBODY, standing, withRoles } from '../support/people.ts'

const LIST = '/v1/admin/accounts'
const change = (app: App, admin: User, id: string, body: object) =>
  call(app, admin.access_token, 'PATCH', `${LIST}/${id}`, body)
const GOOD = [200, undefined]

const server = await startApp(t)
const { app } = server
const admin = await signUpAdmin(server)

interface Page {
  readonly accounts: { id: string; email: string; roles: string[]; status: string; created_at: string }[]
  readonly next_cursor?: string
}

/** Accounts as the store takes them, several of them made in the same second. */
async function insertAccounts({ database }: TestServer, count: number): Promise<void> {
  const accounts = createAccountStore(database)
  for (let i = 0; i < count; i += 1) {
    const account = { id: `acc_${i}`, email: `person${i}@example.com`, passwordHash: '-', createdAt: 1000 + (i >> 3) }
    const audit = { event: 'account_registered', source: NOBODY } as const
    await accounts.insert({ ...account, status: 'active', roles: [], tokenVersion: 1 }, audit)
  }
}

async function everyPage(app: App, admin: User, meanwhile = async () => undefined as unknown): Promise<Page[]> {
  const pages: Page[] = []
  for (let cursor: string | undefined; ; ) {
    const query = cursor === undefined ? '' : `?cursor=${cursor}`
    const page: Page = (await call(app, admin.access_token, 'GET', `${LIST}${query}`)).json()
    pages.push(page)
    cursor = page.next_cursor
    if (cursor === undefined) return pages
    await meanwhile()
  }
}

t.test('every account is on exactly one page, oldest first, and nothing secret is on any', async (t) => {
  const server = await startApp(t)
  const admin = await signUpAdmin(server)
  await insertAccounts(server, 120)
  const pages = await everyPage(server.app, admin)
  t.same(
    pages.map(({ accounts }) => accounts.length),
    [50, 50, 21],
  )
  const all = pages.flatMap(({ accounts }) => accounts)
  t.equal(new Set(all.map(({ id }) => id)).size, 121)
  const times = all.map(({ created_at }) => created_at)
  t.same(times, times.toSorted())
  const { id, email } = admin
  const shown = { id, email, email_verified: false, roles: ['admin'], status: 'active', created_at: times.at(-1) }
  t.same(all.at(-1), shown)
  for (const account of all)
    t.same(Object.keys(account).sort(), ['created_at', 'email', 'email_verified', 'id', 'roles', 'status'])
})

t.test('a page that ends with the last account is the last page', async (t) => {
  const server = await startApp(t)
  const admin = await signUpAdmin(server)
  await insertAccounts(server, 49)
  t.same(
    (await everyPage(server.app, admin)).map(({ accounts }) => accounts.length),
    [50],
  )
  for (let i = 0; i < 2; i += 1) await signUp(server.app)
  const large = await call(server.app, admin.access_token, 'GET', `${LIST}?limit=200`)
  t.equal(large.json().accounts.length, 52, 'a page is larger when that is asked for')
})

t.test('accounts that come and go while somebody reads neither hide others nor show them twice', async (t) => {
  const server = await startApp(t)
  const { app, database } = server
  const admin = await signUpAdmin(server)
  await insertAccounts(server, 120)
  let round = 0
  const pages = await everyPage(app, admin, async () => {
    await database.query('DELETE FROM accounts WHERE id = $1', [`acc_${round}`]) // one that was shown
    await signUp(app)
    round += 1
  })
  const ids = pages.flatMap(({ accounts }) => accounts.map(({ id }) => id))
  t.equal(new Set(ids).size, ids.length)
  t.same(
    Array.from({ length: 120 }, (_, i) => `acc_${i}`).filter((id) => !ids.includes(id)),
    [],
  )
})

t.test('an email finds its account in every spelling, and no other', async (t) => {
  await insertAccounts(server, 12)
  const find = async (email: string) =>
    (await call(app, admin.access_token, 'GET', `${LIST}?email=${encodeURIComponent(email)}`)).json().accounts
  for (const email of ['person1@example.com', ' PERSON1@Example.com '])
    t.match(await find(email), [{ id: 'acc_1', email: 'person1@example.com' }])
  for (const email of ['person@example.com', 'person_@example.com', '%', '', "' OR 1=1 --"])
    t.same(await find(email), [])
})

t.test('what is no cursor of this server is refused by field', async (t) => {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const BAD = ['x', 'AAAA', encode(null), encode({}), encode([]), encode(['1', 'acc_1']), encode([1.5, 'acc_1'])]
  for (const cursor of [...BAD, encode([1, 1]), encode([1, null]), encode([1e300, 'acc_1']), '', 'x'.repeat(200)]) {
    const refused = await call(server.app, admin.access_token, 'GET', `${LIST}?cursor=${cursor}`)
    t.match(refused.json(), { status: 400, code: 'validation_failed', errors: [{ field: '/cursor' }] }, cursor)
  }
  const unknown = await call(server.app, admin.access_token, 'GET', `${LIST}?limit=1000`)
  t.match(unknown.json(), { status: 400, code: 'validation_failed' })
})

t.test('an admin looks one account up, suspends it, activates it and sets its roles', async (t) => {
  const person = await signUp(app)
  const seen = async () => (await call(app, admin.access_token, 'GET', `${LIST}/${person.id}`)).json()
  const { created_at } = await seen()
  const { id, email } = person
  const account = { id, email, email_verified: false, roles: [] as string[], status: 'active', created_at }
  t.same(await seen(), account)

  const STEPS = [
    { status: 'suspended' },
    { roles: ['b', 'a'] },
    { status: 'active' },
    { status: 'suspended', roles: [] },
  ]
  for (const step of STEPS) {
    Object.assign(account, step)
    const reply = await change(app, admin, person.id, step)
    t.equal(reply.statusCode, 200)
    t.same(reply.json(), account)
    t.same(await seen(), account)
  }
  const login = { method: 'POST', url: '/v1/login', payload: { email: person.email, password: PASSWORD } } as const
  t.equal((await app.inject(login)).statusCode, 401)
  await change(app, admin, person.id, { status: 'active' })
  t.equal((await app.inject(login)).statusCode, 200)
})

t.test('a revocation ends every session, and the account may log in again', async (t) => {
  const person = await signUp(app)
  const other = await logIn(app, person.email)
  t.equal((await call(app, admin.access_token, 'POST', `${LIST}/${person.id}/revoke`)).statusCode, 204)
  for (const client of [person, other]) {
    t.same(await standing(app, client.access_token), [401, 'invalid_token'])
    await t.rejects(refreshed(app, client), /invalid_refresh_token/)
  }
  t.same(await standing(app, (await logIn(app, person.email)).access_token), GOOD)
})

const CALLS: [method: 'GET' | 'PATCH' | 'POST' | 'DELETE', path: string, body?: object][] = [
  ['GET', ''],
  ['GET', '/:id'],
  ['PATCH', '/:id', { roles: ['admin'] }],
  ['POST', '/:id/revoke'],
  ['DELETE', '/:id'],
]
t.test('all of it is for the role admin and nobody else', async (t) => {
  const person = await withRoles(server, await signUp(app), ['administrator', 'support'])
  for (const [method, path, body] of CALLS) {
    const url = `${LIST}${path.replace(':id', person.id)}`
    const refused = await call(app, person.access_token, method, url, body)
    t.match(refused.json(), { status: 403, code: 'insufficient_scope' }, `${method} ${path}`)
    t.match(refused.headers['www-authenticate'], 'error="insufficient_scope"')
    t.equal((await app.inject({ method, url, ...(body && { payload: body }) })).statusCode, 401)
  }
})

t.test('an account that is not there is 404, and a body that says nothing known is 400', async (t) => {
  for (const id of ['acc_AAAAAAAAAAAAAAAAAAAAAA', 'constructor', '%20', "'--"])
    for (const [method, path, body] of CALLS.filter(([, path]) => path !== '')) {
      const reply = await call(app, admin.access_token, method, `${LIST}${path.replace(':id', id)}`, body)
      t.match(reply.json(), { status: 404, code: 'not_found' }, `${method} ${path} ${id}`)
    }
  const BAD: object[] = [{}, { status: 'deleted' }, { roles: 'admin' }, { roles: ['Admin'] }, { roles: ['a', 'a'] }]
  for (const body of [
    ...BAD,
    { roles: Array(17).fill('a') },
    { email: 'x@example.com' },
    { roles: ['x"admin"'] },
    { roles: [], evenLastAdmin: true },
  ]) {
    const refused = await change(app, admin, admin.id, body)
    t.match(refused.json(), { status: 400, code: 'validation_failed' }, JSON.stringify(body))
  }
})

t.test('no admin can suspend or demote the last active one, himself included', async (t) => {
  const server = await startApp(t)
  const { app } = server
  const admin = await signUpAdmin(server)
  const LOCKS_OUT = [
    { status: 'suspended' },
    { roles: [] },
    { roles: ['support'] },
    { status: 'suspended', roles: ['admin'] },
  ]
  for (const body of LOCKS_OUT) {
    t.match((await change(app, admin, admin.id, body)).json(), { status: 409, code: 'last_admin' })
    t.same(await standing(app, admin.access_token), GOOD, 'and nothing happened to him')
  }
  const stays = await change(app, admin, admin.id, { roles: ['support', 'admin'], status: 'active' })
  t.equal(stays.statusCode, 200, 'who stays an admin may change')
  const [first, second] = [{ ...admin, ...(await refreshed(app, admin)) }, await signUpAdmin(server)]
  t.equal((await change(app, first, second.id, { status: 'suspended' })).statusCode, 200)
  t.equal((await change(app, first, admin.id, { roles: [] })).statusCode, 409, 'a suspended admin is none')
  t.equal((await change(app, first, second.id, { status: 'active' })).statusCode, 200)
  t.equal((await change(app, first, admin.id, { roles: [] })).statusCode, 200)
})

t.test('of two admins who demote each other at once one stays', async (t) => {
  const server = await startApp(t)
  const [one, two] = [await signUpAdmin(server), await signUpAdmin(server)]
  const replies = await Promise.all([
    change(server.app, one, two.id, { roles: [] }),
    change(server.app, two, one.id, { status: 'suspended' }),
  ])
  t.equal(replies.filter(({ statusCode }) => statusCode === 200).length, 1)
})

t.test('an admin who was just demoted elsewhere reads for a moment longer, and writes no more', async (t) => {
  const server = await startApp(t)
  const [chief, admin] = [await signUpAdmin(server), await signUpAdmin(server)]
  const person = await signUp(server.app)
  const { app, link } = await anotherNode(t, server)
  link.deaf = true
  await change(server.app, chief, admin.id, { roles: [] })
  t.equal((await call(app, admin.access_token, 'GET', LIST)).statusCode, 200, 'a read takes the word of the token')
  for (const reply of [
    await change(app, admin, person.id, { roles: ['admin'] }),
    await call(app, admin.access_token, 'POST', `${LIST}/${person.id}/revoke`),
  ])
    t.match(reply.json(), { status: 401, code: 'token_stale' })
  t.same(await server.database.query('SELECT roles FROM accounts WHERE id = $1', [person.id]), [{ roles: '[]' }])
})
