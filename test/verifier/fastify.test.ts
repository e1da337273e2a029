import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { fastifySignet } from '../../src/verifier/fastify.ts'
import type { VerifierEvent, VerifierOptions } from '../../src/verifier/index.ts'
import { bearer, startApp } from '../support/app.ts'
import { issuerOf } from '../support/issuer.ts'
import { serverMint } from '../support/mint.ts'

const issuing = await startApp(t)

/** Somebody else's service, protected by the plugin. */
async function service(
  t: Test,
  routes: (app: FastifyInstance) => void,
  { down = false, ...options }: Partial<VerifierOptions> & { down?: boolean } = {},
) {
  const server = options.now === undefined ? issuing : await startApp(t, { now: options.now })
  const issuer = issuerOf(() => server.app)
  issuer.down = down
  const mint = await serverMint(server, (options.now ?? systemClock)())
  const log: string[] = []
  const app = Fastify({ logger: { stream: { write: (line) => void log.push(line) } } })
  t.teardown(() => app.close())
  app.setErrorHandler((_error, _request, reply) => reply.code(418).send('ours'))
  app.register(fastifySignet, { issuer: mint.issuer, audience: mint.audience, fetch: issuer.fetch, ...options })
  app.register(async (scope) => routes(scope))
  return { app, mint, issuer, log, server }
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
    { anyOf: [{ role: ['a'] }] },
  ]) {
    const { app } = await service(t, (app) => void app.get('/mine', { config: config as never }, () => 'x'))
    await t.rejects(async () => app.ready(), { name: 'TypeError', message: /\/mine/ }, JSON.stringify(config))
  }
})

const SLIPS: object[] = [
  ...[{ role: ['a'] }, { scopes: ['a'] }, { maxAuthAge: Number.NaN }, { roles: [] }, { scope: [] }, { roles: 'a' }],
  ...[{ auth: 'live' }, { auth: 'none' }, { auth: 'public', scope: ['a'] }, { scope: undefined }],
]

t.test('a slip does not boot either where the route was added before the plugin', async (t) => {
  const { mint, issuer } = await service(t, () => undefined)
  const options = { issuer: mint.issuer, audience: mint.audience, fetch: issuer.fetch }
  const CASES: [where: string, add: (app: FastifyInstance, config: object) => unknown][] = [
    ['beside it', (app, config) => app.get('/mine', { config }, () => 'x')],
    ['in a plugin', (app, config) => app.register(async (scope) => scope.get('/mine', { config }, () => 'x'))],
  ]
  for (const config of SLIPS) {
    for (const [where, add] of CASES) {
      const app = Fastify()
      t.teardown(() => app.close())
      await add(app, config)
      app.register(fastifySignet, options)
      const refused = { name: 'TypeError', message: /\/mine: config\./ }
      await t.rejects(async () => app.ready(), refused, `${where}: ${JSON.stringify(config)}`)
    }
  }
})

t.test('the routes of another plugin are none of its business', async (t) => {
  const { mint, issuer } = await service(t, () => undefined)
  const options = { issuer: mint.issuer, audience: mint.audience, fetch: issuer.fetch }
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/theirs', { config: { roles: 'theirs' as never } }, () => 'x')
  app.register(async (scope) => {
    await scope.register(fastifySignet, options)
    scope.get('/ours', () => 'x')
  })
  t.equal((await app.inject('/theirs')).statusCode, 200)
  t.equal((await app.inject('/ours')).statusCode, 401)
})

t.test('a route with a slip that nobody saw at the start answers 500, and the log names it', async (t) => {
  const { app, mint, log } = await service(t, () => undefined)
  const { server } = app
  Object.assign(app, { server: {} }) // as if the app had been made before the package was imported
  for (const [row, config] of SLIPS.entries()) app.get(`/slip-${row}`, { config: config as never }, () => 'x')
  app.get('/good', () => 'x')
  await app.ready()
  Object.assign(app, { server })
  const all = mint.token({ claims: { roles: ['a'], scope: 'a', auth_time: mint.now } })
  for (const [row, config] of SLIPS.entries()) {
    for (const headers of [{}, bearer(all)]) {
      const reply = await app.inject({ url: `/slip-${row}`, headers })
      t.match([reply.statusCode, reply.json().code], [500, 'internal'], JSON.stringify(config))
    }
    t.match(log.join(''), `route /slip-${row}: config.`)
  }
  t.equal((await app.inject({ url: '/good', headers: bearer(all) })).statusCode, 200)
})

t.test('the service starts while the issuer is away, says 503, and goes on when it is back', async (t) => {
  const { app, mint, issuer } = await service(t, (app) => void app.get('/closed', () => 'x'), { down: true })
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

t.test('a service that is ready has the keys, and what is withdrawn', async (t) => {
  const reachable = Promise.withResolvers<void>()
  const { app, mint, issuer } = await service(t, () => undefined, {
    revocations: true,
    fetch: async (url, init) => {
      await reachable.promise
      return issuer.fetch(url, init)
    },
  })
  let ready = false
  const booting = app.ready().then(() => {
    ready = true
  })
  for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve))
  t.equal(ready, false, 'it waits')
  reachable.resolve()
  await booting
  t.same(issuer.asked.sort(), ['/.well-known/jwks.json', '/.well-known/revocations?after=0'])
  t.match(app.signet.verifyNow(mint.token()), { sub: 'minted-subject' }, 'at once, and no promise')
})

t.test('what fails in the background, and who was refused, is in the log and told; no token is', async (t) => {
  const events: VerifierEvent[] = []
  const onEvent = (event: VerifierEvent) => void events.push(event)
  const { app, mint, issuer, log } = await service(t, (app) => void app.get('/closed', () => 'x'), {
    down: true,
    onEvent,
  })
  await app.ready()
  t.match(events[0], { type: 'keys_failed', reason: /ECONNREFUSED/ })
  const lines = () => log.map((line) => JSON.parse(line))
  t.match(lines()[0], { level: 40, type: 'keys_failed', msg: 'signet: the issuer could not be asked' })
  issuer.down = false
  await app.signet.hydrate()
  t.match(events.at(-1), { type: 'keys_fetched' })
  log.length = 0
  const token = mint.token({ claims: { iss: 'https://other.example' } })
  t.equal((await app.inject({ url: '/closed', headers: bearer(token) })).statusCode, 401)
  t.match(
    lines().find(({ msg }) => msg === 'signet: refused'),
    { level: 30, code: 'invalid_token', reason: /./ },
  )
  t.notMatch(log.join(''), token.slice(-20))
})

t.test('a fault of our own is a 500 that tells nothing, and the log has it', async (t) => {
  let broken = false
  const now = () => {
    if (broken) throw new Error('a clock of password=hunter2')
    return systemClock()
  }
  const { app, mint, log } = await service(t, (app) => void app.get('/closed', () => 'x'), { now })
  await app.ready()
  const headers = bearer(mint.token())
  broken = true
  const reply = await app.inject({ url: '/closed', headers })
  broken = false
  t.match([reply.statusCode, reply.json().code], [500, 'internal'])
  t.notMatch(reply.body, 'hunter2')
  t.match(log.join(''), /"level":50.*hunter2.*signet: the token could not be judged/)
})

t.test('a recent login is recent on the clock that was given', async (t) => {
  const clock = { seconds: 1_800_000_000 }
  const recent = (app: FastifyInstance) => void app.get('/recent', { config: { maxAuthAge: 60 } }, () => 'x')
  const { app, mint } = await service(t, recent, { now: () => clock.seconds })
  const headers = bearer(mint.token({ claims: { auth_time: mint.now } }))
  clock.seconds += 60
  t.equal((await app.inject({ url: '/recent', headers })).statusCode, 200)
  clock.seconds += 1
  t.equal((await app.inject({ url: '/recent', headers })).json().code, 'insufficient_user_authentication')
})

t.test('a service that has a user on its requests already keeps its decoration', async (t) => {
  const { app, mint } = await service(t, (app) => void app.get('/closed', ({ user }) => user))
  app.decorateRequest('user', null as never)
  t.match((await app.inject({ url: '/closed', headers: bearer(mint.token()) })).json(), { sub: 'minted-subject' })
})

t.test('closing the app ends what is asked in the background', async (t) => {
  const polling = Promise.withResolvers<AbortSignal>()
  const { app, issuer } = await service(t, () => undefined, {
    revocations: true,
    fetch: (url, init) => {
      if (String(url).includes('wait=')) polling.resolve(init?.signal as AbortSignal)
      return issuer.fetch(url, init)
    },
  })
  await app.ready()
  const signal = await polling.promise
  await app.close()
  t.equal(signal.aborted, true)
})

t.test('a library that puts its own class in the place of Promise lets nobody in', async (t) => {
  const { app, mint } = await service(t, (app) => app.get('/closed', () => 'in'))
  await app.inject({ url: '/closed', headers: bearer(mint.token()) })
  const native = globalThis.Promise
  t.teardown(() => Object.assign(globalThis, { Promise: native }))
  globalThis.Promise = class extends native<unknown> {} as PromiseConstructor // as zone.js does
  const header = { alg: 'RS256', typ: 'at+jwt', kid: 'of-nobody' } // its key is searched for, in the background
  const reply = await app.inject({ url: '/closed', headers: bearer(mint.token({ header })) })
  globalThis.Promise = native
  t.equal(reply.statusCode, 401)
})
