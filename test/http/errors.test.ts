import { connect } from 'node:net'
import t from 'tap'
import { ERRORS, errorRow } from '../../src/errors/app-error.ts'
import { bearer, newUser, startApp } from '../support/app.ts'

const json = { 'content-type': 'application/json' }
const good = JSON.stringify({ email: 'ada@example.com', password: 'correct horse battery' })

const BODIES: [
  name: string,
  headers: Record<string, string>,
  body: string | Buffer | undefined,
  status: number,
  code: string,
][] = [
  ['no body', json, undefined, 400, 'validation_failed'],
  ['no body, as text', { 'content-type': 'text/plain' }, undefined, 400, 'validation_failed'],
  ['no body and no content type', {}, undefined, 400, 'validation_failed'],
  ['half a body', json, good.slice(0, 20), 400, 'invalid_json'],
  ['text', json, 'email=ada', 400, 'invalid_json'],
  ['a list', json, '[]', 400, 'validation_failed'],
  ['null', json, 'null', 400, 'validation_failed'],
  ['a number', json, '1', 400, 'validation_failed'],
  ['bytes that are not UTF-8', json, Buffer.from([0x22, 0xff, 0x22]), 400, 'invalid_json'],
  ['__proto__', json, '{"email":"a@b.co","password":"x","__proto__":{"admin":true}}', 400, 'invalid_json'],
  [
    'constructor.prototype',
    json,
    '{"email":"a@b.co","password":"x","constructor":{"prototype":{"admin":true}}}',
    400,
    'invalid_json',
  ],
  ['17 KB', json, JSON.stringify({ email: 'a@b.co', password: 'x'.repeat(17_000) }), 413, 'payload_too_large'],
  [
    'a form',
    { 'content-type': 'application/x-www-form-urlencoded' },
    'email=a@b.co&password=x',
    415,
    'unsupported_media_type',
  ],
  ['plain text', { 'content-type': 'text/plain' }, good, 415, 'unsupported_media_type'],
  ['no content type', {}, good, 415, 'unsupported_media_type'],
  ['an almost right content type', { 'content-type': 'application/jsonx' }, good, 415, 'unsupported_media_type'],
  ['a missing field', json, '{"email":"a@b.co"}', 400, 'validation_failed'],
  ['an unknown field', json, '{"email":"a@b.co","password":"x","role":"admin"}', 400, 'validation_failed'],
  ['a number for a text', json, '{"email":"a@b.co","password":12345678}', 400, 'validation_failed'],
  ['a list for a text', json, '{"email":["a@b.co"],"password":"x"}', 400, 'validation_failed'],
]

const { app, log } = await startApp(t)

t.test('bodies that are not as the route says are a clean 4xx', async (t) => {
  for (const [name, headers, body, status, code] of BODIES) {
    for (const url of ['/v1/accounts', '/v1/login']) {
      const reply = await app.inject({ method: 'POST', url, headers, ...(body !== undefined && { payload: body }) })
      t.equal(reply.statusCode, status, `${url} with ${name}`)
      t.match(reply.headers['content-type'], /^application\/problem\+json/)
      t.match(
        reply.json(),
        { type: `urn:signet:error:${code}`, status, code, title: /./, request_id: reply.headers['x-request-id'] },
        name,
      )
    }
  }
})

t.test('validation names every field and repeats no value', async (t) => {
  const reply = await app.inject({
    method: 'POST',
    url: '/v1/login',
    payload: { password: 5, 'hunter2 is my secret': 'hunter2' },
  })
  t.same(
    reply
      .json()
      .errors.map(({ field }: { field: string }) => field)
      .sort(),
    ['/email', '/password', '/…'],
  )
  t.notMatch(reply.body, 'hunter2')
})

t.test('an unknown address is 404 without repeating it, a known one with another method 405 with Allow', async (t) => {
  const unknown = await app.inject('/v1/nothing-here?access_token=eyJhbGci')
  t.equal(unknown.statusCode, 404)
  t.equal(unknown.json().code, 'not_found')
  t.notMatch(unknown.body, /nothing-here|eyJ/)

  const wrong = await app.inject({ method: 'DELETE', url: '/v1/login' })
  t.equal(wrong.statusCode, 405)
  t.equal(wrong.headers.allow, 'POST')
  for (const url of ['/V1/me', '/v1/me/', '//v1/me', '/v1/me%00']) t.equal((await app.inject(url)).statusCode, 404, url)
  t.equal((await app.inject('/%zz')).statusCode, 400)
})

t.test('what a caller does wrong with the files of the docs page is a clean 4xx too', async (t) => {
  const CASES: [url: string, headers: Record<string, string>, status: number][] = [
    ['/docs/static/nothere.js', {}, 404],
    ['/docs/static/%00', {}, 404],
    ['/docs/static/..%5c..%5cpackage.json', {}, 404],
    ['/docs/static/%2e%2e/%2e%2e/package.json', {}, 404],
    [`/docs/static/${'a'.repeat(300)}`, {}, 404],
    ['/docs/static/swagger-ui.css', {}, 404],
    ['/docs/static/000000000000/swagger-ui.css', { range: 'bytes=99999999-' }, 404],
  ]
  for (const [url, headers, status] of CASES) {
    const reply = await app.inject({ url, headers })
    t.equal(reply.statusCode, status, url)
    t.match(reply.headers['content-type'], /problem\+json/)
  }
  t.equal((await app.inject({ method: 'QUERY' as 'GET', url: '/v1/me' })).statusCode < 500, true)
  t.notMatch(log.join(), '"level":"error"')
})

t.test('half of a surrogate pair is no character of a password: three different ones would be one', async (t) => {
  for (const url of ['/v1/accounts', '/v1/login']) {
    const body = '{"email":"ada@example.com","password":"fifteen characters \\ud800"}'
    const reply = await app.inject({ method: 'POST', url, headers: json, payload: body })
    t.equal(reply.statusCode, 400)
    t.match(reply.json(), { code: 'validation_failed', errors: [{ field: '/password' }] })
  }
})

t.test('an error nobody foresaw is a plain 500', async (t) => {
  const { app, log } = await startApp(t, {
    routes: (app) =>
      void app.get('/boom', { config: { auth: 'public' } }, () => {
        throw new Error('the secret ingredient is hunter2')
      }),
  })
  const reply = await app.inject('/boom')
  t.equal(reply.statusCode, 500)
  t.equal(reply.json().code, 'internal')
  t.notMatch(reply.body, /hunter2|at .*\.ts/)
  t.match(log.join(), /hunter2/, 'the log has the cause')
})

t.test(
  'a route is protected unless it says public, whoever adds it, and a wrong word is refused at boot',
  async (t) => {
    const { app } = await startApp(t, { routes: (app) => void app.get('/orders', () => ({ orders: [] })) })
    t.equal((await app.inject('/orders')).statusCode, 401)
    const { token } = await newUser(app)
    t.equal((await app.inject({ url: '/orders', headers: bearer(token) })).statusCode, 200)

    const misspelled = (app: Parameters<NonNullable<Parameters<typeof startApp>[1]>['routes'] & object>[0]) =>
      void app.get('/open', { config: { auth: 'pubic' as 'public' } }, () => 'open')
    await t.rejects(startApp(t, { routes: misspelled }), { message: /config.auth is "pubic"/ })
  },
)

t.test('what is not HTTP, or too much of it, gets a clean answer on the socket', async (t) => {
  const url = new URL(await app.listen({ port: 0 }))
  const send = (text: string) =>
    new Promise<string>((resolve, reject) => {
      let answer = ''
      const socket = connect(Number(url.port), '127.0.0.1', () => socket.write(text))
      socket.on('data', (chunk) => {
        answer += chunk
      })
      socket.on('close', () => resolve(answer)).on('error', reject)
    })
  t.match(await send('EHLO signet\r\n\r\n'), /^HTTP\/1.1 400 .*malformed_request/s)
  t.match(
    await send(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`),
    /^HTTP\/1.1 431 .*headers_too_large/s,
  )
  t.equal((await app.inject('/health/live')).statusCode, 200)
})

t.test('every code has a title that is a sentence, and 503 says when to come back', async (t) => {
  for (const code of Object.keys(ERRORS) as (keyof typeof ERRORS)[]) {
    const row = errorRow(code)
    t.match(row.title, /^[A-Z].*[.]$|token>\.$/, code)
    if (row.status === 503) t.ok(row.retryAfter, code)
    if (row.status === 401) t.not(row.challenge, undefined, code)
  }
})
