import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { bearer, newUser, startApp, type TestServer } from '../support/app.ts'
import { accepted } from '../support/attacks/accepted.ts'
import { type Attack, corpus } from '../support/attacks/corpus.ts'
import { faults } from '../support/attacks/judge.ts'
import { signatureAttacks } from '../support/attacks/signatures.ts'
import { createMint, respellings, serverMint } from '../support/mint.ts'

const me = ({ app }: TestServer, token: string) => app.inject({ url: '/v1/me', headers: bearer(token) })

/** A loopback server that nobody may call. */
async function canary(t: Test): Promise<{ url: string; hits: string[] }> {
  const hits: string[] = []
  const server = createServer((request, response) => {
    hits.push(request.url ?? '')
    response.end('{"keys":[]}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`, hits }
}

const server = await startApp(t)
const mint = await serverMint(server, systemClock())

t.test(
  'every forged or malformed token is refused, twice in a row, and a good one still passes afterwards',
  async (t) => {
    const trap = await canary(t)
    const user = await newUser(server.app)
    t.equal((await me(server, user.token)).statusCode, 200)

    const bodies = new Set<string>()
    let count = 0
    for (const [group, attacks] of corpus({ mint, canary: trap.url })) {
      count += attacks.length
      t.equal(
        new Set(attacks.map(({ name }) => name)).size,
        attacks.length,
        `${group}: every case has a name of its own`,
      )
      await t.test(`${group}: ${attacks.length} tokens`, async (t) => {
        for (const attack of attacks) t.same(await refusals(server, attack, bodies), [], attack.name)
      })
    }
    t.ok(count > 200, `${count} tokens`)
    t.equal(bodies.size, 2, 'one body for all causes, and one for age')
    t.same(trap.hits, [], 'nobody was called')
    t.equal((await me(server, user.token)).statusCode, 200)
    t.equal((await newUser(server.app)).token.split('.').length, 3, 'and the server still logs people in')
  },
)

/** The faults of both answers to one hostile token: the second may come out of a cache. */
async function refusals(server: TestServer, attack: Attack, bodies: Set<string>): Promise<string[]> {
  const found: string[] = []
  for (const time of ['first', 'second']) {
    const logged = server.log.length
    const answer = await me(server, attack.token)
    found.push(...faults(answer, attack, server.log.slice(logged).join('')).map((fault) => `${time}: ${fault}`))
    bodies.add(answer.body.replace(/"request_id":"[^"]+"/, ''))
  }
  return found
}

t.test('an unusual but good token passes, twice in a row', async (t) => {
  for (const { name, token } of accepted(mint)) {
    for (const time of ['first', 'second']) {
      const answer = await me(server, token)
      t.equal(answer.statusCode, 200, `${name}, ${time}: ${answer.body}`)
      t.equal(answer.headers['cache-control'], 'no-store')
    }
  }
})

t.test('what a token says beyond the named claims never reaches a handler', async (t) => {
  const users: object[] = []
  const server = await startApp(t, {
    routes: (app) => void app.get('/who', (request) => [users.push(request.user)]),
  })
  const mint = await serverMint(server, systemClock())
  const token = mint.token({ claims: { ['__proto__']: { admin: true }, constructor: { x: 1 }, admin: true, user: {} } })
  for (const _ of ['verified', 'cached']) await server.app.inject({ url: '/who', headers: bearer(token) })
  t.equal(users.length, 2)
  for (const user of users) {
    t.same(Object.keys(user).sort(), ['aud', 'client_id', 'exp', 'iat', 'iss', 'jti', 'sub'])
    t.ok(Object.isFrozen(user))
    t.equal((user as { admin?: unknown }).admin, undefined)
    t.equal(({ ...user } as { admin?: unknown }).admin, undefined)
  }
})

t.test('a good token that is cached opens the door to no other spelling of itself', async (t) => {
  const { token } = await newUser(server.app)
  for (const good of [token, mint.token()]) {
    t.equal((await me(server, good)).statusCode, 200)
    const dot = good.lastIndexOf('.') + 1
    const others = respellings(good.slice(dot)).map((signature) => good.slice(0, dot) + signature)
    t.equal(others.length, 15)
    for (const other of others) t.same(faults(await me(server, other), { name: '', token: other }, ''), [])
    t.equal((await me(server, good)).statusCode, 200)
  }
})

t.test('good and hostile tokens that arrive at once do not mix', async (t) => {
  const trap = await canary(t)
  const hostile = signatureAttacks({ mint, canary: trap.url }).slice(0, 60)
  await Promise.all(
    hostile.map(async (attack, row) => {
      const [answer, refused] = await Promise.all([
        me(server, mint.token({ claims: { sub: `subject-${row}` } })),
        me(server, attack.token),
      ])
      t.equal(answer.json().sub, `subject-${row}`)
      t.equal(refused.statusCode, 401, attack.name)
    }),
  )
})

t.test("a token of another server's key is refused, even with our issuer, audience and kid", async (t) => {
  const other = await serverMint(await startApp(t, { ownKey: true }), systemClock())
  t.not(other.kid, mint.kid)
  for (const kid of [other.kid, mint.kid]) {
    const token = createMint({ ...other, issuer: mint.issuer, audience: mint.audience, kid }).token()
    t.same(faults(await me(server, token), { name: '', token }, ''), [])
  }
})
