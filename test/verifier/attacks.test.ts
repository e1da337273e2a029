import Fastify from 'fastify'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { fastifySignet } from '../../src/verifier/fastify.ts'
import { createVerifier, SignetError } from '../../src/verifier/index.ts'
import { bearer, newUser, startApp } from '../support/app.ts'
import { accepted } from '../support/attacks/accepted.ts'
import { corpus } from '../support/attacks/corpus.ts'
import { faults } from '../support/attacks/judge.ts'
import { issuerOf } from '../support/issuer.ts'
import { serverMint } from '../support/mint.ts'

// The table of the server's own guard, against the package that other services import: the same result.

t.test('every token that the server refuses is refused by the verifier, in the same words', async (t) => {
  const server = await startApp(t)
  const mint = await serverMint(server, systemClock())
  const { fetch, asked } = issuerOf(() => server.app)
  const options = { issuer: mint.issuer, audience: mint.audience, fetch, revocations: true }

  const log: string[] = []
  const app = Fastify({ logger: { stream: { write: (line) => void log.push(line) } } })
  await app.register(fastifySignet, options)
  app.get('/me', ({ user }) => user)
  const verifier = createVerifier(options)
  t.teardown(() => Promise.all([app.close(), verifier.close()]))
  await app.ready()
  await verifier.hydrate()
  const me = (token: string) => app.inject({ url: '/me', headers: bearer(token) })

  let count = 0
  for (const [group, attacks] of corpus({ mint, canary: 'http://127.0.0.1:9/jwks' })) {
    await t.test(`${group}: ${attacks.length} tokens`, async (t) => {
      for (const attack of attacks) {
        count += 1
        const before = log.length
        const found = faults(await me(attack.token), attack, log.slice(before).join(''))
        const code = await verifier.verify(attack.token).then(
          () => 'accepted',
          (error) => (error instanceof SignetError ? error.code : error.name),
        )
        t.same([...found, code], [attack.code ?? 'invalid_token'], attack.name)
      }
    })
  }
  t.ok(count > 1000, `${count} tokens`)
  for (const { name, token } of accepted(mint)) {
    for (const time of ['first', 'second']) t.equal((await me(token)).statusCode, 200, `${name}, ${time}`)
    t.equal((await verifier.verify(token)).iss, mint.issuer, name)
  }
  const user = await newUser(server.app)
  t.match((await me(user.token)).json(), { sub: user.id })
  t.ok(asked.length < 20, `a table of hostile kids led to ${asked.length} requests`)
})
