import t from 'tap'
import { revocationExpiry } from '../../../src/revocations/revocation.ts'
import { createRevocationStore } from '../../../src/revocations/revocation-store.ts'
import { anotherNode } from '../../support/another-node.ts'
import { startApp } from '../../support/app.ts'
import { ENGINES } from '../../support/engines.ts'
import { logIn, refreshed, signUp, signUpAdmin } from '../../support/front-door.ts'
import { OPERATOR, operator, register, send, tokenOf } from '../../support/oauth.ts'
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
      // The last minute before the step is counted too: the store may not have been told of it.
      t.same(expiries, [
        ['account', revocationExpiry(NOW + 60)],
        ['session', revocationExpiry(NOW + 60)],
      ])
    },
  )

  t.test(`nothing comes back when the clock gets there again (${engine.name})`, async (t) => {
    const clock = { now: NOW }
    const now = () => clock.now
    const server = await startApp(t, { env: { DATABASE_URL: await engine.url(t) }, now })
    const { app, database } = server
    const clients = { disabled: await register(server), deleted: await register(server), good: await register(server) }
    const people = { deleted: await signUp(app), ended: await signUp(app), revoked: await signUp(app) }
    const good = await signUp(app)
    const tokens = {
      'of a disabled client': await tokenOf(app, clients.disabled),
      'of a deleted client': await tokenOf(app, clients.deleted),
      'of a deleted account': people.deleted.access_token,
      'of a session that was refreshed and then ended': people.ended.access_token,
      'revoked alone': people.revoked.access_token,
    }
    // The server knows none of them from its cache: each is dated in the future after the step.
    clock.now = NOW - HOUR
    const administer = operator(server, now)
    await administer.setStatus(clients.disabled.id, 'disabled', OPERATOR)
    await administer.remove(clients.deleted.id, OPERATOR)
    const again = await logIn(app, people.deleted.email)
    t.equal((await call(app, again.access_token, 'DELETE', '/v1/me')).statusCode, 204)
    const later = await refreshed(app, people.ended)
    t.equal((await call(app, later.access_token, 'POST', '/v1/logout', {})).statusCode, 204)
    const form = { token: tokens['revoked alone'], client_id: 'signet' }
    t.equal((await send(app, 'revoke', form)).statusCode, 200)

    for (const instant of [NOW, NOW + 500]) {
      clock.now = instant
      await createRevocationStore(database).deleteExpired(instant)
      const node = await anotherNode(t, server, { now })
      for (const [what, token] of Object.entries(tokens)) t.not((await standing(node.app, token))[0], 200, what)
      for (const token of [good.access_token, await tokenOf(app, clients.good)])
        t.equal((await standing(node.app, token))[0], 200, 'what was not revoked')
    }
  })

  t.test(`a clock that was a year ahead by mistake makes nothing last a year (${engine.name})`, async (t) => {
    const clock = { now: NOW + 365 * 24 * HOUR }
    const server = await startApp(t, { env: { DATABASE_URL: await engine.url(t) }, now: () => clock.now })
    clock.now = NOW
    const { id } = await register(server)
    await operator(server).setStatus(id, 'disabled', OPERATOR)
    const expiries = async () =>
      (await server.database.query('SELECT expires_at FROM revocations')).map((row) => row.expires_at)
    t.same(await expiries(), [revocationExpiry(NOW)])

    const store = createRevocationStore(server.database)
    await store.noteTime(NOW + HOUR) // and a step back of an hour counts from now on
    await operator(server).setStatus(id, 'active', OPERATOR)
    t.same(await expiries(), [revocationExpiry(NOW + HOUR + 60)])
    await store.noteTime(NOW)
    await operator(server).setStatus(id, 'disabled', OPERATOR)
    t.same(await expiries(), [revocationExpiry(NOW + HOUR + 60)], 'a lower time takes nothing back')
  })
}
