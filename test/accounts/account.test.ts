import t from 'tap'
import { bearer, startApp } from '../support/app.ts'
import { administer, signUp, signUpAdmin } from '../support/front-door.ts'
import { register, tokenOf } from '../support/oauth.ts'

const server = await startApp(t)
const { app } = server
const admin = await signUpAdmin(server)

const account = (token: string) => app.inject({ url: '/v1/account', headers: bearer(token) })

t.test('GET /v1/account is my account as the store has it, and nobody else gets it', async (t) => {
  const person = await signUp(app)
  const reply = await account(person.access_token)
  t.equal(reply.statusCode, 200)
  t.equal(reply.headers['cache-control'], 'no-store')
  const { created_at, ...rest } = reply.json()
  t.same(rest, { id: person.id, email: person.email, email_verified: false, roles: [], status: 'active' })
  t.match(created_at, /^\d{4}-.*Z$/)
  const other = (await account(admin.access_token)).json()
  t.not(other.email, person.email)
  t.same(other.roles, ['admin'])
  t.match((await app.inject('/v1/account')).json(), { code: 'missing_token' })
})

t.test('a client has no account', async (t) => {
  const service = await tokenOf(app, await register(server))
  const reply = await account(service)
  t.match([reply.statusCode, reply.json()], [404, { code: 'not_found' }])
})

t.test('a suspended account reads nothing, even before this server has heard of it', async (t) => {
  const person = await signUp(app)
  await administer(app, admin, person.id, { status: 'suspended' })
  t.equal((await account(person.access_token)).statusCode, 401)
  const other = await signUp(app)
  await server.database.query("UPDATE accounts SET status = 'suspended' WHERE id = $1", [other.id])
  const me = await app.inject({ url: '/v1/me', headers: bearer(other.access_token) })
  t.equal(me.statusCode, 200, 'nothing is known but the row')
  t.equal((await account(other.access_token)).statusCode, 401)
})

t.test('the size of a page: 1..200, and a walk with any size meets everybody once', async (t) => {
  for (let i = 0; i < 5; i += 1) await signUp(app)
  const list = (query: string, what = 'accounts') =>
    app.inject({ url: `/v1/admin/${what}${query}`, headers: bearer(admin.access_token) })
  const all = (await list('')).json().accounts as { id: string }[]
  t.ok(all.length >= 7)
  for (const size of [1, 2, all.length, 200]) {
    const met: { id: string }[] = []
    for (let cursor = ''; ; ) {
      const { accounts, next_cursor } = (await list(`?limit=${size}${cursor}`)).json()
      t.ok(accounts.length <= size && accounts.length > 0)
      met.push(...accounts)
      if (next_cursor === undefined) break
      cursor = `&cursor=${next_cursor}`
    }
    t.same(met, all, `pages of ${size}`)
  }
  for (let i = 0; i < 3; i += 1) await register(server)
  const { clients, next_cursor: rest } = (await list('?limit=2', 'clients')).json()
  t.equal(clients.length, 2)
  t.ok((await list(`?limit=200&cursor=${rest}`, 'clients')).json().clients.length >= 1)
  const { next_cursor } = (await list('?limit=3')).json()
  t.same((await list(`?cursor=${next_cursor}`)).json().accounts, all.slice(3), 'a cursor goes with every size')
  for (const what of ['accounts', 'clients']) {
    for (const bad of ['0', '201', '-1', '1.5', '1e2', '01', '', 'all', '2&limit=3'])
      t.match((await list(`?limit=${bad}`, what)).json(), { code: 'validation_failed' }, `${what} ${bad}`)
    t.equal((await list('?limit=200', what)).statusCode, 200)
  }
})
