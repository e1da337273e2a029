import { once } from 'node:events'
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { createGate } from '../../src/verifier/gate/gate.ts'
import { identityOf } from '../../src/verifier/gate/identity.ts'
import { metricsText } from '../../src/verifier/gate/metrics-text.ts'
import { bearer as headersOf, newUser } from '../support/app.ts'
import { corpus } from '../support/attacks/corpus.ts'
import { good } from '../support/claims.ts'
import { verifying } from './verifying.ts'

type Lines = Readonly<Record<string, string | readonly string[]>>

/** A gate on a port, in front of it a real issuer. */
async function gated(t: Test) {
  const { verifier, server, mint, issuer, clock, seen } = await verifying(t, { revocations: true })
  const reported: string[] = []
  const gate = createGate(verifier, (message) => void reported.push(message))
  const listening = createServer(gate.listener).listen(0, '127.0.0.1')
  await new Promise((resolve) => listening.once('listening', resolve))
  t.teardown(() => listening.close().closeAllConnections())
  const { port } = listening.address() as AddressInfo
  /** Not by `fetch`, which makes one line of two. */
  const ask = async (path: string, headers: Lines = {}, method = 'GET') => {
    const sent = request({ port, path, method, headers: headers as OutgoingHttpHeaders }).end()
    const [reply] = (await once(sent, 'response')) as [IncomingMessage]
    return { status: reply.statusCode ?? 0, headers: reply.headers, body: await text(reply) }
  }
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  return { ask, bearer, gate, verifier, server, mint, issuer, clock, seen, reported }
}

t.test('a gateway learns who the caller is, and nobody is let in without a good token', async (t) => {
  const { ask, bearer, gate, verifier, mint, clock, reported } = await gated(t)
  const claims = { sub: 'Zoë, 100 %', client_id: 'app', scope: 'a b:c', roles: ['ad min', 'x'], sid: 's1' }
  const now = clock.seconds
  const token = mint.token({ claims: { ...mint.claims, ...claims, auth_time: now - 100 } })

  const admitted = await ask('/any/path', bearer(token), 'POST')
  t.equal(admitted.status, 200)
  t.equal(admitted.body, '')
  t.match(admitted.headers, {
    'x-signet-subject': 'Zo%C3%AB%2C%20100%20%25',
    'x-signet-client': 'app',
    'x-signet-scope': 'a b:c',
    'x-signet-roles': 'ad%20min x',
    'x-signet-session': 's1',
    'x-signet-auth-time': String(now - 100),
    'cache-control': 'no-store',
  })

  const rows: [what: string, path: string, headers: Lines, status: number, code?: string][] = [
    ['no token', '/', {}, 401, 'missing_token'],
    ['a token in the query', `/?access_token=${token}`, {}, 500, 'internal'],
    ['a token in a cookie', '/', { cookie: `access_token=${token}` }, 401, 'missing_token'],
    ['identity that the client made up', '/', { 'x-signet-subject': 'admin' }, 401, 'missing_token'],
    ['two lines', '/', { authorization: [`Bearer ${token}`, `Bearer ${token}`] }, 400, 'invalid_request'],
    ['another signature', '/', bearer(`${token.slice(0, -8)}AAAAAAAA`), 401, 'invalid_token'],
    ['scope', '/?scope=a%20b:c', bearer(token), 200],
    ['scope with plus', '/?scope=a+b:c', bearer(token), 200],
    ['one scope too many', '/?scope=a%20d', bearer(token), 403, 'insufficient_scope'],
    ['one of two roles', '/?role=admin%20x', bearer(token), 200],
    ['no such role', '/?role=admin', bearer(token), 403, 'insufficient_scope'],
    ['a login of now', '/?max_auth_age=99', bearer(token), 401, 'insufficient_user_authentication'],
    ['a login not so long ago', '/?max_auth_age=200&role=x&scope=a', bearer(token), 200],
    ...['scop=a', 'scope=', 'scope=a&scope=b', 'role=', 'max_auth_age=1.5', 'max_auth_age=', '%', 'a'].map(
      (query): [string, string, Lines, number, string] => [query, `/?${query}`, bearer(token), 500, 'internal'],
    ),
  ]
  for (const [what, path, headers, status, code] of rows) {
    const reply = await ask(path, headers)
    t.same([reply.status, code && JSON.parse(reply.body).code], [status, code], what)
    t.equal('www-authenticate' in reply.headers, [400, 401, 403].includes(status), `${what}: a challenge`)
    t.equal('x-signet-subject' in reply.headers, status === 200, `${what}: identity`)
    t.equal(reply.headers['content-length'], String(reply.body.length), `${what}: a length`)
  }
  t.equal(reported.length, 9, 'who set up the gateway sees its slips')
  t.notOk(reported.some((message) => message.includes(token.slice(-20))))
  t.match(metricsText(gate, verifier), /signet_gate_answers_total\{status="403"\} 2\n[\s\S]*reason="signature"\} 1\n/)
})

t.test('what is taken back is refused, and health says whether it can judge', async (t) => {
  const { ask, bearer, gate, verifier, server, mint, issuer, seen } = await gated(t)
  t.equal((await ask('/health/ready')).status, 503)
  await gate.health.start(
    async () => void t.fail('it is there at once'),
    () => true,
  )
  for (const path of ['/health/ready', '/health/live']) t.equal((await ask(path)).status, 200, path)
  const token = mint.token()
  t.equal((await ask('/', bearer(token))).status, 200)
  const user = await newUser(server.app)
  t.equal((await ask('/', bearer(user.token))).headers['x-signet-subject'], user.id)
  const applied = seen((event) => event.type === 'revocations_applied' && event.entries === 1)
  await server.app.inject({ method: 'POST', url: '/v1/logout', headers: headersOf(user.token) })
  await applied
  t.equal((await ask('/', bearer(user.token))).status, 401)
  t.same(verifier.stats().refused, { revoked_session: 1 })

  await server.app.close()
  issuer.down = true
  t.equal((await ask('/', bearer(token))).status, 200, 'with the issuer away')
  gate.health.closing()
  t.equal((await ask('/health/ready')).status, 503)
  t.equal((await ask('/health/live')).status, 200)
  verifier.close()
})

t.test('identity has every header, in visible ASCII, whatever the claims are', async (t) => {
  const rows = [good, { ...good, sub: 'a\u00a0\u{1f600}' }, { ...good, roles: ['a,b', 'c d'], scope: '' }]
  for (const claims of rows) {
    const headers = identityOf(claims)
    t.equal(Object.keys(headers).length, 6)
    for (const [name, value] of Object.entries(headers)) t.match(value, /^[ -~]*$/, `${name}: ${value}`)
    t.equal(decodeURIComponent(headers['x-signet-subject']), claims.sub)
  }
})

t.test('the table of the attacks, as a gateway sees it', async (t) => {
  const { verifier, mint } = await verifying(t)
  const gate = createGate(verifier, () => undefined)
  /** Without a socket: the table has more than a thousand tokens. */
  const ask = (token: string) =>
    new Promise<{ status: number; headers: object; body: string }>((resolve) => {
      const answer = { status: 0, headers: {}, body: '' }
      const reply = {
        writeHead(status: number, headers: object) {
          Object.assign(answer, { status, headers })
          return reply
        },
        end: (body = '') => resolve({ ...answer, body }),
      }
      gate.listener({ url: '/', rawHeaders: ['Authorization', `Bearer ${token}`] } as never, reply as never)
    })
  let count = 0
  for (const [group, attacks] of corpus({ mint, canary: 'http://127.0.0.1:9/jwks' })) {
    const wrong: string[] = []
    for (const { token, name, code = 'invalid_token' } of attacks) {
      count += 1
      const { status, headers, body } = await ask(token)
      if (status === 200 || 'x-signet-subject' in headers || JSON.parse(body).code !== code) wrong.push(name)
    }
    t.same(wrong, [], `${group}: ${attacks.length} tokens`)
  }
  t.ok(count > 1000, `${count} tokens`)
})
