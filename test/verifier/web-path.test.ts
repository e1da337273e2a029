import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { createVerifier, toResponse } from '../../src/verifier/index-web.ts'
import { newUser, startApp } from '../support/app.ts'
import { accepted } from '../support/attacks/accepted.ts'
import { corpus } from '../support/attacks/corpus.ts'
import { faults } from '../support/attacks/judge.ts'
import {
  identityHeaders,
  misplaced,
  notBearer,
  notOneToken,
  type PlainRequest,
  SCHEMES,
} from '../support/attacks/requests.ts'
import { issuerOf } from '../support/issuer.ts'
import { serverMint } from '../support/mint.ts'

// The package as runtimes without node:crypto load it, in Node: Web Crypto, and requests of Fetch. `npm run interop`
// has the same tables in the runtimes themselves.

const server = await startApp(t)
const mint = await serverMint(server, systemClock())
const { fetch, asked } = issuerOf(() => server.app)
const verifier = createVerifier({ issuer: mint.issuer, audience: mint.audience, fetch, revocations: true })
t.teardown(() => verifier.close())

/** As a service answers a Fetch request. */
async function answer(request: Request | { headers: object }) {
  try {
    const { sub } = await verifier.authenticate(request)
    return { statusCode: 200, headers: {}, body: sub }
  } catch (error) {
    const { status, ...rest } = toResponse(error)
    return { statusCode: status, ...rest }
  }
}

t.test('a verifier is made where a Worker may start nothing: outside of a request', async (t) => {
  t.same(asked, [])
  for (const name of ['fetch', 'setTimeout', 'setInterval', 'AbortController'] as const)
    t.intercept(globalThis, name, { get: () => t.fail(`${name} outside of a request`) })
  const options = { issuer: mint.issuer, audience: mint.audience, fetch, revocations: true }
  createVerifier(options)
  createVerifier({ ...options, mode: 'on-demand' })
  createVerifier({ ...options, mode: 'on-demand', store: { get: async () => undefined, put: async () => {} } })
})

t.test('every token that the server refuses is refused by Web Crypto, in the same words', async (t) => {
  let count = 0
  for (const [group, attacks] of corpus({ mint, canary: 'http://127.0.0.1:9/jwks' })) {
    const found: string[] = []
    for (const attack of attacks) {
      count += 1
      const given = await answer({ headers: { authorization: `Bearer ${attack.token}` } })
      found.push(...faults(given, attack, '').map((fault) => `${attack.name}: ${fault}`))
    }
    t.same(found, [], `${group}: ${attacks.length} tokens`)
  }
  t.ok(count > 1000, `${count} tokens`)
  t.ok(asked.length < 20, `a table of hostile kids led to ${asked.length} requests`)
})

t.test('an unusual but good token passes, twice in a row', async (t) => {
  for (const { name, token } of accepted(mint))
    for (const time of ['first', 'second']) t.equal((await verifier.verify(token)).iss, mint.issuer, `${name}, ${time}`)
})

t.test('a Fetch request brings its token in the Authorization header and nowhere else', async (t) => {
  const { token, id } = await newUser(server.app)
  const bodies: string[] = []
  const send = async ({ url, payload, ...init }: PlainRequest) => {
    const body = payload === undefined ? {} : { body: payload }
    const given = await answer(new Request(`https://service.example${url}`, { ...init, ...body }))
    bodies.push(given.body)
    return given.statusCode === 200 ? given.body : JSON.parse(given.body).code
  }
  const sendLine = (authorization: string) => send({ url: '/', headers: { authorization } })
  t.equal(await send({ url: '/' }), 'missing_token')
  for (const request of misplaced(token, { get: '/', post: '/' }))
    t.equal(await send(request), 'missing_token', JSON.stringify(request).slice(0, 60))
  for (const headers of identityHeaders(id)) t.equal(await send({ url: '/', headers }), 'missing_token')
  for (const line of notBearer(token)) t.equal(await sendLine(line), 'missing_token', line.slice(0, 12))
  for (const line of notOneToken(token)) {
    const code = line.includes(',') ? 'invalid_request' : 'invalid_token'
    t.equal(await sendLine(line), code, line.slice(0, 12))
  }
  for (const line of SCHEMES.map((scheme) => `${scheme} ${token}`)) t.equal(await sendLine(line), id)
  t.notOk(bodies.some((body) => body.includes(token)))
})

t.test('two Authorization lines, which Fetch joins, are an invalid request', async (t) => {
  const { token } = await newUser(server.app)
  for (const [first, second] of [
    [`Bearer ${token}`, `Bearer ${token}`],
    [`Bearer ${token}`, 'Basic dXNlcjpwYXNz'],
    ['Basic dXNlcjpwYXNz', `Bearer ${token}`],
    [`Bearer ${token}`, ''],
    ['', `bearer ${token}`],
  ] as [string, string][]) {
    const headers = new Headers()
    for (const line of [first, second]) headers.append('authorization', line)
    await t.rejects(verifier.authenticate(new Request('https://service.example/', { headers })), {
      code: 'invalid_request',
      status: 400,
    })
  }
})
