import t, { type Test } from 'tap'
import { PASSWORD, startApp } from '../../support/app.ts'
import { ENGINES, type Engine } from '../../support/engines.ts'
import { signUpAdmin } from '../../support/front-door.ts'
import { call } from '../../support/people.ts'

// PostgreSQL has no text with a NUL in it and answers an error (SQLSTATE 22021) where SQLite answers with no row.

async function answers(t: Test, engine: Engine): Promise<number[]> {
  const server = await startApp(t, { env: { DATABASE_URL: await engine.url(t) } })
  const { app } = server
  const { access_token: access } = await signUpAdmin(server)
  const cursor = Buffer.from(JSON.stringify([1, '\0'])).toString('base64url')
  const credentials = { email: 'a\0b@example.com', password: PASSWORD }
  const replies = [
    await app.inject({ method: 'POST', url: '/v1/login', payload: credentials }),
    await app.inject({ method: 'POST', url: '/v1/accounts', payload: credentials }),
    await app.inject({ method: 'POST', url: '/v1/refresh', payload: { refresh_token: `srt_${'\0'.repeat(80)}` } }),
    await call(app, access, 'DELETE', '/v1/sessions/a%00b'),
    await call(app, access, 'GET', '/v1/admin/accounts/a%00b'),
    await call(app, access, 'PATCH', '/v1/admin/accounts/a%00b', { roles: [] }),
    await call(app, access, 'POST', '/v1/admin/accounts/a%00b/revoke'),
    await call(app, access, 'GET', '/v1/admin/accounts?email=a%00b'),
    await call(app, access, 'GET', `/v1/admin/accounts?cursor=${cursor}`),
  ]
  return replies.map(({ statusCode }) => statusCode)
}

t.test('a NUL in what a client sends is answered the same on every engine, and never with 500', async (t) => {
  const [first = [], ...others] = await Promise.all(ENGINES.map((engine) => answers(t, engine)))
  t.ok(first.every((status) => status < 500))
  for (const other of others) t.same(other, first)
})
