import { glob, readFile } from 'node:fs/promises'
import { posix } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { signetExpress } from '../../src/verifier/adapters/express.ts'
import { signetHttp } from '../../src/verifier/adapters/http.ts'
import { signetLambda } from '../../src/verifier/adapters/lambda.ts'
import { Requires } from '../../src/verifier/adapters/nest.ts'
import { signetNext } from '../../src/verifier/adapters/next.ts'
import { type Demands, SignetError, type VerifierEvent } from '../../src/verifier/index.ts'
import { bearer, newUser } from '../support/app.ts'
import * as drivers from './adapter-drivers.ts'
import { type Driver, type Outcome, readBack, recording } from './adapter-drivers.ts'
import { verifying } from './verifying.ts'

/** Where the answer is that of the platform, its body has no code, and it has fewer statuses. */
const LAMBDA = { platform: true }
const DRIVERS: Record<string, { driver: Driver; platform?: boolean }> = {
  Express: { driver: drivers.express },
  'node:http': { driver: drivers.http },
  Hono: { driver: drivers.hono() },
  'a route handler of Next.js': { driver: drivers.nextRoute },
  'the proxy of Next.js': { driver: drivers.nextProxy },
  'NestJS on Express': { driver: drivers.nest(false) },
  'Nest, Fastify': { driver: drivers.nest(true) },
  'Lambda, a TOKEN event': { driver: drivers.lambda('policy', 'token'), ...LAMBDA },
  'Lambda, a REQUEST event': { driver: drivers.lambda('policy', 'rest'), ...LAMBDA },
  'Lambda, HTTP API': { driver: drivers.lambda('simple', 'http'), ...LAMBDA },
  'Lambda, HTTP API with policies': { driver: drivers.lambda('policy', 'http'), ...LAMBDA },
}

interface Case {
  readonly what: string
  readonly lines: readonly string[]
  readonly demands?: Demands
  readonly status: number
  readonly code?: string
}

/** What a platform that writes the answers itself makes of a status. */
const platformStatus = (status: number) => (status === 400 ? 401 : status === 503 ? 500 : status)

async function asks(t: Test, verifier: Parameters<Driver>[0], cases: readonly Case[]): Promise<void> {
  for (const [name, { driver, platform }] of Object.entries(DRIVERS)) {
    for (const { what, lines, demands, status, code } of cases) {
      const outcome = await driver(verifier, demands)(lines)
      t.equal(outcome.status, platform ? platformStatus(status) : status, `${name}: ${what}`)
      if (outcome.status === 200) continue
      t.equal(outcome.user, undefined, `${name}: ${what}: the handler does not run`)
      if (platform && outcome.status !== 403) continue
      t.equal(outcome.code, code, `${name}: ${what}`)
      t.equal(outcome.challenge?.startsWith('Bearer realm="signet"') ?? false, status < 500, `${name}: ${what}`)
    }
  }
}

t.test('what each adapter says to a token', async (t) => {
  const { server, verifier, issuer, another, mint, seen } = await verifying(t, { revocations: true })
  await verifier.hydrate()
  const good = `Bearer ${mint.token({ claims: { roles: ['admin', 'two words'], scope: 'a b', tenant: { id: 7 } } })}`
  const revoked = (await newUser(server.app)).token
  await server.app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(revoked) })
  await seen((event) => event.type === 'revocations_applied' && event.entries > 0)
  const signed = (claims: object) => [`Bearer ${mint.token({ claims })}`]

  await asks(t, verifier, [
    { what: 'a good token', lines: [good], status: 200 },
    { what: 'a role and scopes', lines: [good], demands: { roles: ['x', 'admin'], scope: ['a', 'b'] }, status: 200 },
    { what: 'no token', lines: [], status: 401, code: 'missing_token' },
    { what: 'a password', lines: ['Basic YTpi'], status: 401, code: 'missing_token' },
    { what: 'Bearer alone', lines: ['Bearer'], status: 401, code: 'invalid_token' },
    { what: 'another signature', lines: [`${good.slice(0, -9)}AAAAAAAA`], status: 401, code: 'invalid_token' },
    { what: 'expired', lines: signed({ iat: 1, exp: 2 }), status: 401, code: 'token_expired' },
    { what: 'for somebody else', lines: signed({ aud: 'other' }), status: 401, code: 'invalid_token' },
    { what: 'revoked', lines: [`Bearer ${revoked}`], status: 401, code: 'invalid_token' },
    { what: 'two lines', lines: [good, good], status: 400, code: 'invalid_request' },
    { what: 'no such role', lines: [good], demands: { roles: ['root'] }, status: 403, code: 'insufficient_scope' },
    { what: 'no such scope', lines: [good], demands: { scope: ['c'] }, status: 403, code: 'insufficient_scope' },
  ])

  issuer.down = true
  const away = another({}, async () => undefined)
  await asks(t, away, [{ what: 'the issuer is away', lines: [good], status: 503, code: 'keys_unavailable' }])
})

t.test('the handler is given the claims, frozen, with those that only the application knows', async (t) => {
  const { verifier, mint } = await verifying(t)
  const claims = { roles: ['admin', 'two words'], tenant: { id: 7 }, beta: true, none: null }
  const lines = [`Bearer ${mint.token({ claims })}`]
  for (const [name, { driver, platform }] of Object.entries(DRIVERS)) {
    const { user } = await driver(verifier)(lines)
    if (name.includes('proxy')) t.equal(user, undefined, 'a proxy hands nothing on')
    else if (platform) {
      for (const [key, value] of Object.entries(user as object))
        t.match(typeof value, /^(string|number|boolean)$/, `${name}: ${key}`)
      const { none, ...others } = claims
      t.match(readBack(user), { sub: 'minted-subject', ...others }, name)
      t.notOk('none' in (user as object), name)
    } else {
      t.match(user, { sub: 'minted-subject', ...claims }, name)
      t.ok(Object.isFrozen(user) && Object.isFrozen((user as { tenant: object }).tenant), name)
    }
  }
})

t.test('a login that is too old is told with its challenge (RFC 9470)', async (t) => {
  const { verifier, mint } = await verifying(t)
  const lines = [`Bearer ${mint.token({ claims: { auth_time: mint.now - 100 } })}`]
  for (const [name, { driver, platform }] of Object.entries(DRIVERS)) {
    const outcome: Outcome = await driver(verifier, { maxAuthAge: 60 })(lines)
    // API Gateway lets an authorizer say more with a 403 only.
    t.equal(outcome.status, platform ? 403 : 401, name)
    t.equal(outcome.code, 'insufficient_user_authentication', name)
    t.match(outcome.challenge, /max_age="60"/, name)
  }
})

t.test('a fault that is no refusal is a 500 that tells nothing', async (t) => {
  const broken = { authenticate: () => Promise.reject(new Error('password=hunter2')) }
  for (const [name, { driver, platform }] of Object.entries(DRIVERS)) {
    const outcome = await driver(broken)(['Bearer x'])
    t.equal(outcome.status, 500, name)
    if (!platform) t.equal(outcome.code, 'internal', name)
    t.notMatch(JSON.stringify(outcome), 'hunter2', name)
  }
})

t.test('and the owner of the service is told of it, once', async (t) => {
  let isBroken = false
  const now = () => {
    if (isBroken) throw new Error('a clock without a battery')
    return systemClock()
  }
  const events: VerifierEvent[] = []
  const { verifier, mint } = await verifying(t, { now, onEvent: (event) => void events.push(event) })
  const lines = [`Bearer ${mint.token()}`]
  t.equal((await drivers.express(verifier)(lines)).status, 200)
  events.length = 0
  isBroken = true
  t.equal((await drivers.express(verifier)(lines)).status, 500)
  t.match(events, [{ type: 'internal', error: { message: 'a clock without a battery' } }])
  t.equal(events.length, 1)
})

t.test('a challenge says where the metadata of the service is (RFC 9728)', async (t) => {
  const resource = 'https://api.example.com/orders'
  const { verifier, mint } = await verifying(t, { resource })
  for (const [name, { driver, platform }] of Object.entries(DRIVERS)) {
    const lines = platform ? [`Bearer ${mint.token()}`] : []
    const { challenge } = await driver(verifier, { scope: ['a'] })(lines)
    t.match(challenge, 'resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/orders"', name)
  }
})

t.test('demands that would have no effect are refused where the guard is made', async (t) => {
  const nobody = { authenticate: () => Promise.reject(new Error('not asked')) }
  const SLIPS = [
    { role: ['a'] },
    { roles: [] },
    { scope: ['a b'] },
    { maxAuthAge: 0 },
    null,
    'a',
  ] as unknown as Demands[]
  for (const slip of SLIPS) {
    const made: Record<string, () => unknown> = {
      Express: () => signetExpress(nobody, slip),
      'node:http': () => signetHttp(nobody, () => undefined, slip),
      Hono: () => drivers.hono()(nobody, slip),
      'Next.js': () => signetNext(nobody, slip),
      NestJS: () => Requires(slip),
      Lambda: () => signetLambda(nobody, slip),
    }
    for (const [name, make] of Object.entries(made)) t.throws(make, TypeError, `${name}: ${JSON.stringify(slip)}`)
  }
})

t.test('a runtime that stays awake for background work is asked to', async (t) => {
  const given: unknown[] = []
  const runtime = { waitUntil: (work: Promise<unknown>) => void given.push(work) }
  const request = new Request('https://service.example/me')
  const ASKED: Record<string, (verifier: ReturnType<typeof recording>) => Promise<unknown>> = {
    Hono: (verifier) => drivers.hono(runtime)(verifier)([]),
    'the proxy of Next.js': (verifier) => signetNext(verifier).proxy(request, runtime),
    'a route handler of Next.js': (verifier) =>
      signetNext(verifier, {}, runtime).route(() => new Response())(request, { params: Promise.resolve({}) }),
  }
  for (const [name, ask] of Object.entries(ASKED)) {
    const verifier = recording()
    await ask(verifier)
    const work = Promise.resolve(name)
    verifier.calls[0]?.options?.waitUntil?.(work)
    t.equal(given.at(-1), work, name)
  }
  const verifier = recording()
  await drivers.hono()(verifier)([])
  t.same(verifier.calls[0]?.options, {}, 'Hono without an execution context')
})

t.test('what a handler throws is its own, and no refusal', async (t) => {
  const verifier = recording()
  const thrown = new SignetError('insufficient_scope')
  const fails = () => {
    throw thrown
  }
  const request = new Request('https://service.example/me')
  const response = { headersSent: false, writeHead: () => t.fail('an answer') }
  await t.rejects(signetHttp(verifier, fails)({} as never, response as never), thrown)
  await t.rejects(signetExpress(verifier)({}, response as never, fails), thrown)
  await t.rejects(signetNext(verifier).route(fails)(request, { params: Promise.resolve({}) }), thrown)
})

t.test('a response that somebody else has sent meanwhile is left alone', async (t) => {
  const refusing = { authenticate: () => Promise.reject(new SignetError('invalid_token')) }
  const sent = { headersSent: true, writeHead: () => t.fail('headers are sent twice') }
  await signetExpress(refusing)({}, sent as never, () => t.fail('it goes on'))
  await signetHttp(refusing, () => t.fail('it goes on'))({} as never, sent as never)
})

t.test('an adapter is short, and brings neither a framework nor Node', async (t) => {
  const MOST_LINES = 40
  const withoutTypes = (text: string) => text.replace(/^import type [^;]*? from .*$/gms, '')
  const imported = async (file: string): Promise<string[]> => {
    const text = withoutTypes(await readFile(file, 'utf8'))
    const statements = [...text.matchAll(/^(?:import|export) (?!type)[^'"]*? from ['"](.*?)['"]/gm)]
    return statements.map(([, to = '']) => (to.startsWith('.') ? posix.join(posix.dirname(file), to) : to))
  }
  const waiting: string[] = []
  for await (const file of glob('src/verifier/adapters/*.ts')) waiting.push(file.replaceAll('\\', '/'))
  t.ok(waiting.length > 6, 'the adapters were found')
  for (const file of waiting.filter((one) => /^(express|hono|http|lambda|nest|next)\.ts$/.test(posix.basename(one)))) {
    const text = (await readFile(file, 'utf8'))
      .replace(/\/\*.*?\*\//gs, '')
      .replace(/^(import|export) [^;]*? from .*$/gm, '')
    const lines = text.split('\n').filter((line) => /^\s*[^\s/]/.test(line))
    t.ok(lines.length > 5 && lines.length <= MOST_LINES, `${file}: ${lines.length} lines of code`)
  }
  const found = new Set(waiting)
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop())
    for (const to of await imported(file)) {
      if (!to.startsWith('src/')) t.fail(`${file} imports ${to}`)
      else if (!found.has(to)) waiting.push(to)
      found.add(to)
    }
})
