import { request } from 'node:http'
import t from 'tap'
import { bearer, startApp } from '../support/app.ts'
import { signUp, signUpAdmin, verdict } from '../support/front-door.ts'

// No bytes are no body, whatever Content-Type says.

const server = await startApp(t, { env: { CORS_ORIGINS: 'https://app.example.com' } })
const { app } = server
const TYPES = [
  undefined,
  'application/json',
  'application/json; charset=utf-8',
  'text/plain',
  'text/plain;charset=UTF-8',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/octet-stream',
  'nonsense',
  '',
]

t.test('a logout without a body ends the session, of whatever type the body is not', async (t) => {
  for (const type of TYPES) {
    for (const length of [undefined, '0']) {
      const user = await signUp(app)
      const headers = {
        ...bearer(user.access_token),
        ...(type !== undefined && { 'content-type': type }),
        ...(length !== undefined && { 'content-length': length }),
      }
      const reply = await app.inject({ method: 'POST', url: '/v1/logout', headers })
      t.equal(reply.statusCode, 204, `${type}, length ${length}: ${reply.body}`)
      t.equal(await verdict(app, user), 'invalid_token', `${type}: the token is dead`)
    }
  }
})

t.test('a chunked body that turns out to be empty is none; one byte of another type is refused', async (t) => {
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  /** A request on the wire, chunked. @returns the status */
  const chunked = (path: string, headers: Record<string, string>, body: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const options = { method: 'POST', headers: { ...headers, 'transfer-encoding': 'chunked' } }
      const sent = request(
        `${url}${path}`,
        options,
        (reply) => void reply.resume().on('end', () => resolve(reply.statusCode)),
      )
      sent.on('error', reject).end(body)
    })
  for (const type of ['application/json', 'text/plain', 'application/octet-stream']) {
    const user = await signUp(app)
    const headers = { ...bearer(user.access_token), 'content-type': type }
    if (type !== 'application/json') t.equal(await chunked('/v1/logout', headers, '{}'), 415, type)
    t.equal(await verdict(app, user), 'good', 'a refused logout changed nothing')
    t.equal(await chunked('/v1/logout', headers, ''), 204, type)
    t.equal(await verdict(app, user), 'invalid_token')
  }
  t.equal(await chunked('/nothing', { 'content-type': 'text/plain' }, 'x'), 404, 'an unknown address stays one')
  t.equal(await chunked('/oauth/revoke', { 'content-type': 'text/plain' }, ''), 400)
  t.equal(await chunked('/oauth/token', { 'content-type': 'application/json' }, '{}'), 400)
})

t.test('every route that can do without a body does, with any type', async (t) => {
  const admin = await signUpAdmin(server)
  for (const type of TYPES) {
    const headers = (token: string) => ({ ...bearer(token), ...(type !== undefined && { 'content-type': type }) })
    const user = await signUp(app)
    const other = await signUp(app)
    const revoke = { method: 'POST' as const, url: `/v1/admin/accounts/${other.id}/revoke` }
    t.equal((await app.inject({ ...revoke, headers: headers(admin.access_token) })).statusCode, 204, `revoke: ${type}`)
    const { sessions } = (await app.inject({ url: '/v1/sessions', headers: bearer(user.access_token) })).json()
    const end = { method: 'DELETE' as const, url: `/v1/sessions/${sessions[0].id}` }
    t.equal((await app.inject({ ...end, headers: headers(user.access_token) })).statusCode, 204, `end: ${type}`)
    const third = await signUp(app)
    const leave = { method: 'DELETE' as const, url: '/v1/me', headers: headers(third.access_token) }
    t.equal((await app.inject(leave)).statusCode, 204, `delete: ${type}`)
    const refresh = await app.inject({ method: 'POST', url: '/v1/refresh', headers: headers('x') })
    t.equal(refresh.json().code, 'invalid_refresh_token', `refresh: ${type}`)
  }
})

t.test('a route that needs a body says that it is missing', async (t) => {
  for (const type of TYPES) {
    const headers = type === undefined ? {} : { 'content-type': type }
    const reply = await app.inject({ method: 'POST', url: '/v1/login', headers })
    t.match(reply.json(), { code: 'validation_failed', errors: [{ field: '', message: 'the body is missing' }] })
  }
})

t.test('the document says which bodies may be absent', async (t) => {
  const { paths } = (await app.inject('/openapi.json')).json()
  const required = (path: string) => paths[path].post.requestBody.required
  t.same(['/v1/logout', '/v1/refresh', '/v1/login', '/oauth/token'].map(required), [false, false, true, true])
})
