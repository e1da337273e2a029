import { readFile } from 'node:fs/promises'
import t from 'tap'
import { readKeyring } from '../../src/keys/manifest.ts'
import { privateKeyPath } from '../../src/keys/private-keys.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { bearer, newUser, PASSWORD, startApp } from '../support/app.ts'

t.test('a whole session at trace level leaves no secret in the log', async (t) => {
  const { app, folder, log } = await startApp(t, { env: { LOG_LEVEL: 'trace' } })
  const { email, token } = await newUser(app)
  const me = { method: 'GET' as const, url: `/v1/me?access_token=${token}` }
  await app.inject({ ...me, headers: bearer(token) })
  await app.inject({ ...me, headers: { ...bearer(token.slice(0, -4)), cookie: `session=${token}` } })
  await app.inject({ ...me, headers: { authorization: `Basic ${Buffer.from(`ada:${PASSWORD}`).toString('base64')}` } })
  await app.inject({ method: 'POST', url: '/v1/login', payload: { email, password: 'the wrong one, hunter2' } })
  await app.inject({ method: 'POST', url: '/v1/login', payload: { email, password: PASSWORD, hunter2: 'hunter2' } })
  await app.inject({
    method: 'POST',
    url: '/v1/login',
    headers: { 'content-type': 'application/json' },
    payload: `{"password":"${PASSWORD}`,
  })
  await app.inject({ method: 'POST', url: '/v1/accounts', payload: { email, password: PASSWORD } })

  const text = log.join('')
  const [, payload = '', signature = ''] = token.split('.')
  const [key] = await readKeyring(folder)
  const pem = (await readFile(privateKeyPath(folder, key?.kid ?? ''), 'utf8')).split('\n')
  const SECRETS = {
    password: PASSWORD,
    wrong: 'hunter2',
    payload,
    signature: signature.slice(0, 40),
    email,
    pem: pem[3] ?? '',
  }
  t.ok(log.length >= 16)
  for (const [name, secret] of Object.entries(SECRETS)) {
    t.ok(secret.length > 5)
    t.notOk(text.includes(secret), `no ${name} in the log`)
  }
})

t.test('what a developer logs by mistake is redacted at any depth up to four', async (t) => {
  const lines: string[] = []
  const log = await createLogger({
    level: 'info',
    readable: false,
    destination: { write: (line) => void lines.push(line) },
  })
  log.info({
    password: 'hunter2',
    body: { password: 'hunter2', deep: { refresh_token: 'hunter2' } },
    headers: { authorization: 'hunter2' },
  })
  log.info({ a: { b: { headers: { cookie: 'hunter2' } } } })
  t.notMatch(lines.join(), 'hunter2')
  t.match(lines.join(), '[redacted]')
})

t.test('every answer is one line that can be found by its request id', async (t) => {
  const { app, log } = await startApp(t)
  const reply = await app.inject({ method: 'POST', url: '/v1/login', payload: { email: 'a@b.co', password: PASSWORD } })
  const lines = log.map((line) => JSON.parse(line)).filter((line) => line.request_id === reply.headers['x-request-id'])
  t.match(lines.at(-1), {
    level: 'info',
    time: /Z$/,
    msg: 'answered',
    method: 'POST',
    route: '/v1/login',
    status: 401,
    ip: '127.0.0.1',
  })
  t.match(lines[0], { event: 'login_failed', reason: 'unknown email' })
})

t.test('the audit trail is logged whatever the level of the rest', async (t) => {
  const { app, log } = await startApp(t, { env: { LOG_LEVEL: 'error' } })
  for (const url of ['/v1/accounts', '/v1/login'])
    await app.inject({ method: 'POST', url, payload: { email: 'ada@example.com', password: PASSWORD } })
  t.same(
    log.map((line) => JSON.parse(line).event),
    ['account_registered', 'login_succeeded'],
  )
})

t.test('a client can not forge log lines', async (t) => {
  const { app, log } = await startApp(t)
  await app.inject({
    method: 'POST',
    url: '/v1/login',
    headers: { 'user-agent': 'x\r\n{"level":"fatal"}'.replace('\r\n', '\t') },
    payload: { email: 'a@b.co', password: 'x' },
  })
  for (const line of log) t.equal(line.trimEnd().split('\n').length, 1)
})
