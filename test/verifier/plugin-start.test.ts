import { mock } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import '../support/fake-timeouts.ts'
import { fastifySignet } from '../../src/verifier/fastify.ts'

t.test('an issuer that never answers does not keep a service from starting', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  let asked = 0
  const fetch = (_input: unknown, init?: RequestInit) => {
    asked += 1
    return new Promise<Response>((_, reject) => init?.signal?.addEventListener('abort', reject))
  }
  await app.register(fastifySignet, { issuer: 'https://id.example.com', audience: 'x', timeout: 60_000, fetch })
  app.get('/open', { config: { auth: 'public' } }, () => 'open')
  let start = 'goes on'
  const ready = app.ready().then(
    () => (start = 'is over'),
    ({ message }) => (start = message),
  )
  const turns = async () => {
    for (let i = 0; i < 50; i += 1) await nextTurn()
  }
  await turns()
  t.equal(asked, 1)
  mock.timers.tick(4999)
  await turns()
  t.equal(start, 'goes on', 'it is worth some seconds')
  mock.timers.tick(1) // Fastify's own patience ends after ten seconds
  await turns()
  t.equal(start, 'is over')
  mock.timers.tick(10_000)
  await ready
  t.equal((await app.inject('/open')).statusCode, 200)
})
