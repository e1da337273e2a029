import t from 'tap'
import { createHasCookieTransport } from '../../../src/sessions/cookie-transport-store.ts'
import { PASSWORD, startApp } from '../../support/app.ts'
import { ENGINES } from '../../support/engines.ts'
import { claimsOf, signUp } from '../../support/front-door.ts'

// The trail tells which sessions have their refresh token in the cookie. By HTTP: test/sessions/change-password.test.ts

for (const engine of ENGINES)
  t.test(engine.name, async (t) => {
    const { app, database } = await startApp(t, { env: { DATABASE_URL: await engine.url(t) } })
    const person = await signUp(app)
    const payload = { email: person.email, password: PASSWORD, transport: 'cookie' }
    const { sid: sessionId } = claimsOf((await app.inject({ method: 'POST', url: '/v1/login', payload })).json())
    const hasCookieTransport = createHasCookieTransport(database)
    const session = { accountId: person.id, sessionId: String(sessionId) }
    t.equal(await hasCookieTransport(session), true)
    for (const other of [{ sessionId: String(claimsOf(person).sid) }, { sessionId: 'none' }, { accountId: 'acc_b' }])
      t.equal(await hasCookieTransport({ ...session, ...other }), false, JSON.stringify(other))
  })
