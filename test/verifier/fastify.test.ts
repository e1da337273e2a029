import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { fastifySignet } from '../../src/verifier/index.ts'
import { bearer, startApp } from '../support/app.ts'
import { issuerOf } from '../support/issuer.ts'
import { serverMint } from '../support/mint.ts'

/** Somebody else's service, protected by the plugin. */
async function service(t: Test, routes: (app: FastifyInstance) => void, down = false) {
  const server = await startApp(t)
  const issuer = issuerOf(() => server.app)
  issuer.down = down
  const mint = await serverMint(server, systemClock())
  const app = Fastify()
  t.teardown(() => app.close())
  app.setErrorHandler((_error, _request, reply) => reply.code(418).send('ours'))
  app.register(fastifySignet, { issuer: mint.issuer, audience: mint.audience, fetch: issuer.fetch })
  app.register(async (scope) => routes(scope))
  return { app, mint, issuer }
}

t.test('default deny: a route is open only when it says so', async (t) => {
  const { app, mint } = await service(t, (app) => {
    app.get('/closed', ({ user }) => user)
    app.get('/open', { config: { auth: 'public' } }, () => 'open')
  })
  t.equal((await app.inject('/open')).statusCode, 200)
  const refused = await app.inject('/closed')
  t.equal(refused.statusCode, 401, 'and the error handler of the service has no part in it')
  t.match(refused.headers, { 'www-authenticate': 'Bearer realm="signet"', 'cache-control': 'no-store' })
  t.equal(refused.json().code, 'missing_token')
  const accepted = await app.inject({ url: '/closed', headers: bearer(mint.token()) })
  t.match(accepted.json(), { sub: 'minted-subject' })
  t.equal((await app.inject('/nowhere')).statusCode, 404)
})

t.test('routes may ask for roles, scope and a recent login', async (t) => {
  const { app, mint } = await service(t, (app) => {
    app.get('/roles', { config: { roles: ['support'] } }, () => 'x')
    app.get('/scope', { config: { scope: ['a'] } }, () => 'x')
    app.get('/recent', { config: { maxAuthAge: 60 } }, () => 'x')
  })
  const all = mint.token({ claims: { roles: ['support'], scope: 'a', auth_time: mint.now } })
  for (const [url, status] of Object.entries({ '/roles': 403, '/scope': 403, '/recent': 401 })) {
    t.equal((await app.inject({ url, headers: bearer(mint.token()) })).statusCode, status, url)
    t.equal((await app.inject({ url, headers: bearer(all) })).statusCode, 200, url)
  }
})

t.test('a demand that would not be asked does not boot', async (t) => {
  for (const config of [
    { auth: 'live' },
    { auth: 'none' },
    { roles: [] },
    { scope: ['a b'] },
    { auth: 'public', roles: ['a'] },
  ]) {
    const { app } = await service(t, (app) => void app.get('/mine', { config: config as never }, () => 'x'))
    await t.rejects(async () => app.ready(), { name: 'TypeError', message: /\/mine/ }, JSON.stringify(config))
  }
})

t.test('the service starts while the issuer is away, says 503, and goes on when it is back', async (t) => {
  const { app, mint, issuer } = await service(t, (app) => void app.get('/closed', () => 'x'), true)
  const headers = bearer(mint.token())
  const away = await app.inject({ url: '/closed', headers })
  t.equal(away.statusCode, 503)
  t.equal(away.headers['retry-after'], '2')
  issuer.down = false
  await new Promise<void>((resolve) => {
    const timer = setInterval(async () => {
      if ((await app.inject({ url: '/closed', headers })).statusCode !== 200) return
      clearInterval(timer)
      resolve()
    }, 50)
  })
})
