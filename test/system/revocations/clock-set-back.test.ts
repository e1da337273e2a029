import t from 'tap'
import { revocationExpiry } from '../../../src/revocations/revocation.ts'
import { startApp } from '../../support/app.ts'
import { ENGINES } from '../../support/engines.ts'
import { logIn, signUp, signUpAdmin } from '../../support/front-door.ts'
import { call, standing } from '../../support/people.ts'

// Tokens from before the clock was set back live until it is past their end again: what withdraws them must last as
// long.

const NOW = 1_800_000_000
const HOUR = 3600

for (const engine of ENGINES) {
  t.test(
    `what is withdrawn after the clock was set back stays withdrawn until the tokens are over (${engine.name})`,
    async (t) => {
      const clock = { now: NOW }
      const server = await startApp(t, { env: { DATABASE_URL: await engine.url(t) }, now: () => clock.now })
      const { app, database } = server
      const person = await signUp(app)
      const other = await logIn(app, person.email)
      t.equal((await standing(app, person.access_token))[0], 200, 'in the cache from now on')
      t.equal((await standing(app, other.access_token))[0], 200)

      clock.now = NOW - HOUR
      const admin = await signUpAdmin(server)
      t.equal((await call(app, person.access_token, 'POST', '/v1/logout', {})).statusCode, 204)
      const url = `/v1/admin/accounts/${person.id}`
      t.equal((await call(app, admin.access_token, 'PATCH', url, { roles: ['auditor'] })).statusCode, 200)
      for (const { access_token: access } of [person, other]) t.equal((await standing(app, access))[0], 401)

      const rows = await database.query('SELECT kind, subject, expires_at FROM revocations ORDER BY kind')
      const expiries = rows.filter(({ subject }) => subject !== admin.id).map((row) => [row.kind, row.expires_at])
      t.same(expiries, [
        ['account', revocationExpiry(NOW)],
        ['session', revocationExpiry(NOW)],
      ])
    },
  )
}
