import t from 'tap'
import type { App } from '../../src/http/app-type.ts'
import { bearer, newUser, startApp } from '../support/app.ts'
import { faults } from '../support/attacks/judge.ts'
import {
  hostileLines,
  identityHeaders,
  misplaced,
  notBearer,
  notOneToken,
  SCHEMES,
  twoAuthorizationLines,
} from '../support/attacks/requests.ts'
import { rawRequest } from '../support/raw-request.ts'

/** Routes of an application developer that say nothing about their protection. */
const routes = (app: App) => {
  app.get('/echo', (request) => ({ sub: request.user.sub }))
  app.post('/echo', (request) => ({ sub: request.user.sub }))
}

const raw = (app: App, lines: string[]) => rawRequest((app.server.address() as { port: number }).port, lines)

const { app } = await startApp(t, { routes })
await app.listen({ host: '127.0.0.1', port: 0 })

t.test('a request without a bearer credential gets a challenge that names no error', async (t) => {
  const { token } = await newUser(app)
  for (const authorization of [undefined, ...notBearer(token)]) {
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
  for (const authorization of notOneToken(token)) {
    const answer = await app.inject({ url: '/v1/me', headers: { authorization } })
    t.same(faults(answer, { name: authorization, token }, ''), [], authorization.slice(0, 18))
  }
})

t.test('the scheme is read in any case', async (t) => {
  const { token } = await newUser(app)
  for (const scheme of SCHEMES) {
    const answer = await app.inject({ url: '/v1/me', headers: { authorization: `${scheme} ${token}` } })
    t.equal(answer.statusCode, 200, scheme)
  }
})

t.test('a good token anywhere but in the Authorization header is not seen', async (t) => {
  const { app } = await startApp(t, { routes, env: { TRUST_PROXY: 'loopback' } })
  const { token, id } = await newUser(app)
  const claimed = identityHeaders(id).map((headers) => ({ url: '/v1/me', headers }))
  for (const request of [...misplaced(token, { get: '/v1/me', post: '/echo' }), ...claimed]) {
    const answer = await app.inject(request)
    t.equal(answer.statusCode, 401, JSON.stringify(request).slice(0, 60))
    t.equal(answer.json().code, 'missing_token')
    t.notMatch(answer.headers['www-authenticate'], /error/)
    t.notOk(answer.body.includes(token))
  }
})

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
  for (const lines of twoAuthorizationLines(token)) {
    const answer = await raw(app, ['GET /v1/me HTTP/1.1', ...lines])
    t.equal(answer.statusCode, 400)
    t.equal(JSON.parse(answer.body).code, 'invalid_request')
    t.match(answer.headers['content-type'], /^application\/problem\+json/)
    t.match(answer.headers['www-authenticate'], /^Bearer .*\berror="invalid_request"/)
    t.equal(answer.headers['cache-control'], 'no-store')
    t.notOk(answer.body.includes(token))
  }
  t.equal((await raw(app, ['GET /v1/me HTTP/1.1', `Authorization: Bearer ${token}`])).statusCode, 200)
})

t.test('over a real socket too, hostile header lines are refused and the server lives on', async (t) => {
  const { token } = await newUser(app)
  const get = 'GET /v1/me HTTP/1.1'
  for (const [lines, status] of hostileLines(token)) {
    const answer = await raw(app, [get, ...lines])
    t.equal(answer.statusCode, status, String(lines.at(-1)).slice(0, 40))
    t.notOk(answer.body.includes(token))
  }
  t.equal((await raw(app, ['GET http://127.0.0.1/v1/me HTTP/1.1'])).statusCode, 401)
  t.equal(
    (await raw(app, [get, `Authorization:   Bearer ${token}  `])).statusCode,
    200,
    'white space around a value is no part of it',
  )
  t.equal((await app.inject({ url: '/v1/me', headers: bearer(token) })).statusCode, 200)
})
