import t from 'tap'
import { bearer, PASSWORD, startApp } from '../support/app.ts'
import { claimsOf, signUp, signUpAdmin } from '../support/front-door.ts'

const server = await startApp(t)

t.test('what was refused, or changed nothing, leaves no row that says it happened', async (t) => {
  const { app, database } = server
  const person = await signUp(app)
  const admin = await signUpAdmin(server)
  const send = (method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, payload?: object, token = '') =>
    app.inject({ method, url, headers: token === '' ? {} : bearer(token), ...(payload && { payload }) })
  const count = async () =>
    (await database.query("SELECT COUNT(*) AS n FROM audit_events WHERE event NOT LIKE '%_refused'"))[0]?.n
  const before = await count()
  const REFUSED = [
    await send('POST', '/v1/accounts', { email: person.email, password: PASSWORD }),
    await send('POST', '/v1/logout', { scope: 'others' }, person.access_token),
    await send('DELETE', `/v1/sessions/${claimsOf(admin).sid}`, undefined, person.access_token),
    await send('PUT', '/v1/me/password', { current_password: PASSWORD, new_password: 'short' }, person.access_token),
    await send('PATCH', `/v1/admin/accounts/${admin.id}`, { roles: [] }, admin.access_token),
    await send('PATCH', '/v1/admin/accounts/acc_nobody', { roles: [] }, admin.access_token),
    await send('POST', '/v1/admin/accounts/acc_nobody/revoke', undefined, admin.access_token),
    await send('DELETE', '/v1/me', undefined, admin.access_token),
  ]
  t.same(
    REFUSED.map(({ statusCode }) => statusCode),
    [409, 204, 404, 422, 409, 404, 404, 409],
  )
  t.equal(await count(), before)
})

t.test('a user agent is kept up to 256 characters', async (t) => {
  const { app, database } = server
  const person = await signUp(app)
  const headers = { 'user-agent': 'x'.repeat(10_000), ...bearer(person.access_token) }
  await app.inject({ method: 'POST', url: '/v1/logout', headers, payload: {} })
  const [row] = await database.query("SELECT user_agent FROM audit_events WHERE event = 'logout' AND account_id = $1", [
    person.id,
  ])
  t.equal(row?.user_agent, 'x'.repeat(256))
})
