import { connect } from 'node:net'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import type { App } from '../../src/http/app-type.ts'
import { bearer, newUser, startApp } from '../support/app.ts'
import { faults } from '../support/attacks/judge.ts'

/** Routes of an application developer that say nothing about their protection. */
const routes = (app: App) => {
  app.get('/echo', (request) => ({ sub: request.user.sub }))
  app.post('/echo', (request) => ({ sub: request.user.sub }))
}

/** The lines of the answer to raw bytes sent over a socket of their own. */
async function raw(
  app: App,
  lines: string[],
): Promise<{ statusCode: number; headers: Record<string, string>; body: string }> {
  const { port } = app.server.address() as { port: number }
  const socket = connect(port, '127.0.0.1')
  socket.end(Buffer.from([...lines, 'Host: localhost', 'Connection: close', '', ''].join('\r\n'), 'latin1'))
  let text = ''
  for await (const chunk of socket.setEncoding('latin1')) text += chunk
  const [head = '', body = ''] = text.split('\r\n\r\n')
  const [status = '', ...fields] = head.split('\r\n')
  const headers = fields.map((field) => [
    field.slice(0, field.indexOf(':')).toLowerCase(),
    field.slice(field.indexOf(':') + 2),
  ])
  return { statusCode: Number(status.split(' ')[1]), headers: Object.fromEntries(headers), body }
}

const { app } = await startApp(t, { routes })
await app.listen({ host: '127.0.0.1', port: 0 })

t.test('a request without a bearer credential gets a challenge that names no error', async (t) => {
  const { token } = await newUser(app)
  const credentials = [
    undefined,
    '',
    ' ',
    'Basic dXNlcjpwYXNz',
    `Basic ${token}`,
    `DPoP ${token}`,
    `JWT ${token}`,
    token,
  ]
  const almost = [
    `Token ${token}`,
    `Bearer${token}`,
    `Bearers ${token}`,
    `xBearer ${token}`,
    `Bearer:${token}`,
    `"Bearer" ${token}`,
  ]
  for (const authorization of [...credentials, ...almost]) {
    for (const url of ['/v1/me', '/echo']) {
      const answer = await app.inject({ url, headers: authorization === undefined ? {} : { authorization } })
      t.equal(answer.statusCode, 401, String(authorization?.slice(0, 12)))
      t.equal(answer.json().code, 'missing_token')
      t.match(answer.headers['content-type'], /^application\/problem\+json/)
      t.match(answer.headers['www-authenticate'], /^Bearer\b/)
      t.notMatch(answer.headers['www-authenticate'], /error/)
      t.equal(answer.headers['cache-control'], 'no-store')
      t.notOk(answer.body.includes(token))
    }
  }
})

t.test('a Bearer scheme without one token is an invalid token', async (t) => {
  const { token } = await newUser(app)
  for (const rest of [
    '',
    ' ',
    '  ',
    ` ${token} ${token}`,
    ` ${token},`,
    ` "${token}"`,
    ` ${token} x`,
    ' x',
    ' .',
    ' ..',
  ]) {
    const answer = await app.inject({ url: '/v1/me', headers: { authorization: `Bearer${rest}` } })
    t.same(faults(answer, { name: rest, token }, ''), [], rest.slice(0, 12))
  }
})

t.test('the scheme is read in any case', async (t) => {
  const { token } = await newUser(app)
  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEARER', 'BeArEr']) {
    const answer = await app.inject({ url: '/v1/me', headers: { authorization: `${scheme} ${token}` } })
    t.equal(answer.statusCode, 200, scheme)
  }
})

const HEADER_NAMES = [
  'x-access-token|x-authorization|x-auth-token|access-token|token|jwt|id-token|x-id-token|authentication|authorization2',
  'proxy-authorization|x-forwarded-authorization|x-original-authorization',
].flatMap((row) => row.split('|'))
const COOKIES = ['access_token', 'token', 'jwt', 'session', '__Host-token', 'authorization']
const QUERY = ['access_token', 'token', 'jwt', 'authorization', 'bearer']

/** Requests that carry a token in every place where some server or other looks for one. */
function misplaced(token: string): InjectOptions[] {
  const me = (headers: Record<string, string>) => ({ url: '/v1/me', headers })
  const echo = (type: string, payload: string) => ({
    method: 'POST' as const,
    url: '/echo',
    headers: { 'content-type': type },
    payload,
  })
  return [
    ...QUERY.map((name) => ({ url: `/v1/me?${name}=${token}` })),
    { url: `/echo?authorization=Bearer%20${token}` },
    ...COOKIES.map((name) => me({ cookie: `${name}=${token}` })),
    me({ cookie: `authorization=Bearer ${token}` }),
    ...HEADER_NAMES.flatMap((name) => [me({ [name]: token }), me({ [name]: `Bearer ${token}` })]),
    me({ 'sec-websocket-protocol': `bearer, ${token}` }),
    echo('application/json', JSON.stringify({ access_token: token })),
    echo('text/plain', token),
    echo('application/x-www-form-urlencoded', `access_token=${token}`),
  ]
}

t.test('a good token anywhere but in the Authorization header is not seen', async (t) => {
  const { app } = await startApp(t, { routes, env: { TRUST_PROXY: 'loopback' } })
  const { token, id } = await newUser(app)
  const claimed = identityHeaders(id).map((headers) => ({ url: '/v1/me', headers }))
  for (const request of [...misplaced(token), ...claimed]) {
    const answer = await app.inject(request)
    t.equal(answer.statusCode, 401, JSON.stringify(request).slice(0, 60))
    t.equal(answer.json().code, 'missing_token')
    t.notMatch(answer.headers['www-authenticate'], /error/)
    t.notOk(answer.body.includes(token))
  }
})

const IDENTITY_HEADERS = [
  'x-forwarded-user|x-remote-user|remote-user|x-user|x-user-id|x-authenticated-user|x-client-cert|x-forwarded-email',
  'x-auth-request-user|x-ms-client-principal-id|x-amzn-oidc-identity|x-forwarded-client-cert',
].flatMap((row) => row.split('|'))

/** Headers in which proxies name a user. The server must ignore them. */
function identityHeaders(user: string): Record<string, string>[] {
  return IDENTITY_HEADERS.map((name) => ({ [name]: user }))
}

t.test('HEAD is guarded like GET, and a body is not read before the token is', async (t) => {
  t.equal((await app.inject({ method: 'HEAD', url: '/v1/me' })).statusCode, 401)
  t.equal((await app.inject({ method: 'HEAD', url: '/echo' })).statusCode, 401)
  const headers = { 'content-type': 'application/json' }
  for (const payload of ['{', 'x'.repeat(100_000)]) {
    t.equal((await app.inject({ method: 'POST', url: '/echo', headers, payload })).statusCode, 401)
  }
})

t.test('two Authorization lines are an invalid request, whatever stands in them', async (t) => {
  const { token } = await newUser(app)
  const good = `Authorization: Bearer ${token}`
  const pairs = [
    [good, good],
    [good, good.replace('Authorization', 'authorization')],
    [good.replace('Authorization', 'AUTHORIZATION'), good],
    [good, 'Authorization: Basic dXNlcjpwYXNz'],
    ['Authorization: Basic dXNlcjpwYXNz', good],
    [good, 'Authorization: Bearer x.y.z'],
    ['Authorization: Bearer x.y.z', good],
    [good, 'Authorization:'],
    ['Authorization:', good],
    [good, 'X-Between: yes', good],
    [good, good, good],
  ]
  for (const lines of pairs) {
    const answer = await raw(app, ['GET /v1/me HTTP/1.1', ...lines])
    t.equal(answer.statusCode, 400)
    t.equal(JSON.parse(answer.body).code, 'invalid_request')
    t.match(answer.headers['content-type'], /^application\/problem\+json/)
    t.match(answer.headers['www-authenticate'], /^Bearer .*\berror="invalid_request"/)
    t.equal(answer.headers['cache-control'], 'no-store')
    t.notOk(answer.body.includes(token))
  }
  t.equal((await raw(app, ['GET /v1/me HTTP/1.1', good])).statusCode, 200)
})

t.test('over a real socket too, hostile header lines are refused and the server lives on', async (t) => {
  const { token } = await newUser(app)
  const get = 'GET /v1/me HTTP/1.1'
  const rows: [lines: string[], status: number][] = [
    [[get, `Authorization: Bearer ${token}, Bearer ${token}`], 401],
    [[get, `Authorization: Bearer ${token}\r\n ${token}`], 400],
    [[get, `Authorization: Bearer ${token}\0`], 400],
    [[get, `Authorization : Bearer ${token}`], 400],
    [[get, `Authorization: Bearer ${token}\xff`], 401],
    [[get, `Authorization: Bearer \xe9\xfe.\xff.\x80`], 401],
    [[get, `Authorization: Bearer ${'A'.repeat(12_000)}`], 401],
    [[get, `Authorization: Bearer ${'A'.repeat(20_000)}`], 431],
    [[get, ...Array.from({ length: 50 }, (_, i) => `X-${i}: Authorization: Bearer ${token.slice(0, 80)}`)], 401],
    [[get, 'X: y\nAuthorization: Bearer x'], 400],
    [['GET http://127.0.0.1/v1/me HTTP/1.1'], 401],
  ]
  for (const [lines, status] of rows) {
    const answer = await raw(app, lines)
    t.equal(answer.statusCode, status, String(lines.at(-1)).slice(0, 40))
    t.notOk(answer.body.includes(token))
  }
  t.equal(
    (await raw(app, [get, `Authorization:   Bearer ${token}  `])).statusCode,
    200,
    'white space around a value is no part of it',
  )
  t.equal((await app.inject({ url: '/v1/me', headers: bearer(token) })).statusCode, 200)
})
