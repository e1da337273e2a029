import t from 'tap'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { bearer, newUser, PASSWORD, startApp } from '../support/app.ts'

const url = '/v1/login'
const { app, config, database, log } = await startApp(t)

t.test('a login answers with a token that opens /v1/me', async (t) => {
  const { id, email } = await newUser(app)
  const reply = await app.inject({
    method: 'POST',
    url,
    payload: { email: ` ${email.toUpperCase()} `, password: PASSWORD },
  })
  t.equal(reply.statusCode, 200)
  t.equal(reply.headers['cache-control'], 'no-store')
  t.match(reply.json(), { token_type: 'Bearer', expires_in: config.ACCESS_TOKEN_TTL, scope: '' })

  const me = await app.inject({ url: '/v1/me', headers: bearer(reply.json().access_token) })
  t.equal(me.statusCode, 200)
  t.equal(me.headers['cache-control'], 'no-store')
  t.match(me.json(), {
    sub: id,
    client_id: 'signet',
    sid: /^[\w-]{22}$/,
    roles: [],
    scope: '',
    authenticated_at: /Z$/,
    expires_at: /Z$/,
  })
})

t.test('each login is a session of its own', async (t) => {
  const { email, token } = await newUser(app)
  const again = await app.inject({ method: 'POST', url, payload: { email, password: PASSWORD } })
  const sid = async (token: string) => (await app.inject({ url: '/v1/me', headers: bearer(token) })).json().sid
  t.not(await sid(token), await sid(again.json().access_token))
})

t.test('an unknown email, a wrong password and a suspended account get the same answer', async (t) => {
  const { email } = await newUser(app)
  const suspended = await newUser(app)
  await createAccountStore(database).change(suspended.id, { status: 'suspended' }, 1, {
    event: 'account_suspended',
    source: { ip: null, userAgent: null, requestId: null },
  })
  log.length = 0

  const answers = []
  for (const payload of [
    { email: 'nobody@example.com', password: PASSWORD },
    { email, password: `${PASSWORD}!` },
    { email, password: PASSWORD.toUpperCase() },
    { email, password: ` ${PASSWORD}` },
    { email: suspended.email, password: PASSWORD },
    { email: 'not an email', password: PASSWORD },
  ]) {
    const { statusCode, headers, body } = await app.inject({ method: 'POST', url, payload })
    const { 'x-request-id': _id, date: _date, ...same } = headers
    answers.push(JSON.stringify([statusCode, same, { ...JSON.parse(body), request_id: '' }]))
  }
  t.match(answers[0], /^\[401,.*invalid_credentials/)
  t.equal(new Set(answers).size, 1)

  const reasons = log
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event === 'login_failed')
    .map(({ reason }) => reason)
  t.same(reasons, [
    'unknown email',
    'wrong password',
    'wrong password',
    'wrong password',
    'account suspended',
    'unknown email',
  ])
})

t.test('a hash made at a lower cost is renewed at the next login', async (t) => {
  const { app, database } = await startApp(t, { env: { PASSWORD_HASH_PASSES: '3' } })
  const { id, email } = await newUser(app)
  const accounts = createAccountStore(database)
  const argon2 = (await import('argon2')).default
  const current = (await accounts.byEmail(email))?.passwordHash ?? ''
  await accounts.replacePasswordHash(
    id,
    current,
    await argon2.hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 }),
  )
  t.ok((await accounts.byEmail(email))?.passwordHash.includes('t=2'))

  for (const attempt of ['renews', 'uses the new one']) {
    t.equal(
      (await app.inject({ method: 'POST', url, payload: { email, password: PASSWORD } })).statusCode,
      200,
      attempt,
    )
  }
  t.match((await accounts.byEmail(email))?.passwordHash, /\$m=19456,.*t=3/)
})

t.test('a login storm is answered with 503 and Retry-After, and nobody is logged in by it', async (t) => {
  const { app } = await startApp(t, { env: { PASSWORD_QUEUE: '1' } })
  const replies = await Promise.all(
    Array.from({ length: 12 }, (_, i) =>
      app.inject({
        method: 'POST',
        url,
        payload: { email: 'a@example.com', password: PASSWORD },
        remoteAddress: `192.0.2.${i}`,
      }),
    ),
  )
  const busy = replies.filter((reply) => reply.statusCode === 503)
  t.ok(busy.length > 0)
  for (const reply of busy) {
    t.equal(reply.json().code, 'overloaded')
    t.match(reply.headers['retry-after'], /^\d+$/)
  }
  t.ok(replies.every((reply) => [401, 503].includes(reply.statusCode)))
})

t.test('with the store gone logins answer 503 with Retry-After, and verified routes do not notice', async (t) => {
  const { app, database } = await startApp(t)
  const { email, token } = await newUser(app)
  await database.close()

  t.equal((await app.inject({ url: '/v1/me', headers: bearer(token) })).statusCode, 200)
  t.equal((await app.inject('/.well-known/jwks.json')).statusCode, 200)
  const login = await app.inject({ method: 'POST', url, payload: { email, password: PASSWORD } })
  t.equal(login.statusCode, 503)
  t.equal(login.json().code, 'store_unavailable')
  t.match(login.headers['retry-after'], /^\d+$/)
  const ready = await app.inject('/health/ready')
  t.equal(ready.statusCode, 503)
  t.match(ready.json(), { status: 'failed', checks: { store: 'failed', keyring: 'ok' }, revocations_age: Number })
  t.equal((await app.inject('/health/live')).statusCode, 200)
})
