import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import packageJson from '../../../package.json' with { type: 'json' }
import { PASSWORD } from '../../support/app.ts'
import { freePort } from '../../support/free-port.ts'
import { post, ROOT, run, type ServerProcess, startServer } from '../../support/service.ts'
import { clientPackage, clientRuns } from './client-package.ts'
import { explains } from './installed-command.ts'
import { buildPackages, installPackages, PAGES, withoutFastify } from './installed-package.ts'
import { packageTypes } from './package-types.ts'
import { refusedAfter, type Service, startServices } from './recipe-services.ts'

// What a stranger does: build the package, install it with npm in an empty folder, run what its README prints.

const PERSON = { email: 'a@example.com', password: PASSWORD }

interface Pair {
  readonly access_token: string
  readonly refresh_token: string
}

const issued = async ({ url }: ServerProcess, path: string, body: object) =>
  (await (await post(`${url}/v1/${path}`, body)).json()) as Pair
const logIn = (server: ServerProcess) => issued(server, 'login', PERSON)
t.test('the packages: built, installed with npm in an empty folder, type-checked and run', async (t) => {
  const { tarballs, changed } = await buildPackages(t)
  t.same(changed, [], '`npm run package` writes in dist/ and nowhere else')
  const folder = await installPackages(t, tarballs)
  const expressOnly = await withoutFastify(t, folder)
  await t.test('what is in it', (t) => contents(t, join(folder, 'node_modules/signet-verifier')))
  await t.test('its types', (t) => packageTypes(t, folder, expressOnly))
  await t.test('import and require() load the same modules', (t) => oneCopy(t, folder))
  await clientPackage(t, folder)
  await t.test('a server that lives and dies', (t) => life(t, folder, expressOnly))
})

const FASTIFY_PEER = { peerDependencies: { fastify: '^5.0.0' }, peerDependenciesMeta: { fastify: { optional: true } } }

async function contents(t: Test, installed: string): Promise<void> {
  const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
  const { name, version, license, dependencies, peerDependencies, peerDependenciesMeta } = manifest
  t.same({ name, version, license }, { name: 'signet-verifier', version: packageJson.version, license: 'Apache-2.0' })
  t.same(Object.keys(dependencies), ['@sinclair/typebox'])
  t.same({ peerDependencies, peerDependenciesMeta }, FASTIFY_PEER, 'what npm accepts beside it')
  t.match(packageJson.dependencies.fastify, /^\^5\./, 'the Fastify of these tests is one of them')
  t.same((await readdir(installed)).sort(), ['LICENSE', ...PAGES, 'cjs', 'esm', 'package.json'].sort())
  for (const [file, source] of [
    ['LICENSE', 'LICENSE'],
    ...PAGES.map((page) => [page, `src/verifier/${page}`]),
  ] as const)
    t.equal(await readFile(join(installed, file), 'utf8'), await readFile(join(ROOT, source), 'utf8'), file)
}

const ONE_COPY = `
  import { createRequire } from 'node:module'
  import { SignetError } from 'signet-verifier'
  import { fastifySignet } from 'signet-verifier/fastify'
  const require = createRequire(import.meta.url)
  const same = require('signet-verifier').SignetError === SignetError
  console.log(same, require('signet-verifier/fastify').fastifySignet === fastifySignet)`

async function oneCopy(t: Test, folder: string): Promise<void> {
  await writeFile(join(folder, 'one-copy.js'), ONE_COPY)
  t.match(await run(t, join(folder, 'one-copy.js'), []).finished, { code: 0, stdout: 'true true\n' })
}

async function life(t: Test, folder: string, expressOnly: string): Promise<void> {
  const server = await startServer(t, { PORT: String(await freePort()), JWKS_MAX_AGE: '1', CLOCK_SKEW: '1' })
  await post(`${server.url}/v1/accounts`, PERSON)
  await t.test('signet-client: a command line', (t) => clientRuns(t, folder, server))
  const [first, revoked, later] = [await logIn(server), await logIn(server), await logIn(server)]
  await t.test('its command', (t) => explains(t, folder, server.url, first.access_token))
  const services = await startServices(t, folder, expressOnly, { ISSUER: server.url, AUDIENCE: server.url })
  const scene = { server, services, stays: first.access_token }

  await revocation(t, scene, revoked.access_token)
  const fresh = await rotation(t, scene, first.refresh_token)
  await outage(t, scene, fresh, later.access_token)
  const issuer = { ISSUER: server.url, TOKEN: fresh }
  await t.test('a process whose verifier is closed ends by itself', (t) => endsByItself(t, folder, issuer))
}

interface Scene {
  readonly server: ServerProcess
  readonly services: readonly Service[]
  /** The token of a session that nobody ends. */
  readonly stays: string
}

async function all(t: Test, { services }: Scene, token: string, status: number, what: string): Promise<void> {
  for (const { name, ask } of services) t.equal(await ask(token), status, `${name}: ${what}`)
}

async function revocation(t: Test, scene: Scene, revoked: string): Promise<void> {
  const { server, services, stays } = scene
  await all(t, scene, stays, 200, 'a token')
  await all(t, scene, revoked, 200, 'another one')
  await all(t, scene, 'x.y.z', 401, 'none')
  for (const { name, ask } of services) t.equal(await ask(stays, '/reports'), 403, `${name}: a scope that is missing`)

  await post(`${server.url}/v1/logout`, {}, { authorization: `Bearer ${revoked}` })
  const delays = await Promise.all(services.map((service) => refusedAfter(service, revoked, 10)))
  t.comment(`a revoked session was refused after ${delays.join(', ')} ms`)
  await all(t, scene, stays, 200, 'the other session')
}

/** Refreshes until the next key signs; both tokens pass all the time. @returns a token of the next key */
async function rotation(t: Test, scene: Scene, refreshToken: string): Promise<string> {
  const { server, services, stays } = scene
  const rotate = run(t, 'scripts/keys.ts', ['rotate', '--lead', '6s'], server.env)
  t.equal((await rotate.finished).code, 0)
  const kid = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid
  for (let pair: Pair = { access_token: stays, refresh_token: refreshToken }; ; await delay(200)) {
    pair = await issued(server, 'refresh', { refresh_token: pair.refresh_token })
    const fresh = pair.access_token
    const asked = services.map(async ({ name, ask }) => {
      const statuses = [await ask(fresh), await ask(stays)]
      if (statuses.some((status) => status !== 200)) t.fail(`${name}: ${statuses} during the rotation`)
    })
    await Promise.all(asked)
    if (kid(fresh) === kid(stays)) continue
    await all(t, scene, fresh, 200, 'a token of the next key')
    return fresh
  }
}

async function outage(t: Test, scene: Scene, fresh: string, later: string): Promise<void> {
  const { server, services, stays } = scene
  server.child.kill('SIGKILL')
  await server.finished
  await all(t, scene, stays, 200, 'the server is dead')
  await all(t, scene, fresh, 200, 'the server is dead')

  const again = await startServer(t, server.env)
  t.equal(again.url, server.url)
  await all(t, scene, later, 200, 'the server is back')
  await post(`${server.url}/v1/logout`, {}, { authorization: `Bearer ${later}` })
  const after = await Promise.all(services.map((service) => refusedAfter(service, later, 100)))
  t.comment(`and after its return a revoked session after ${after.join(', ')} ms`)
}

/** A program that gets one request accepted and closes its verifier. It exits with 9 when it does not end by itself. */
const CLOSES = `
  import { subscribe } from 'node:diagnostics_channel'
  import { createVerifier } from 'signet-verifier'
  setTimeout(() => process.exit(9), 20_000).unref()
  const { ISSUER, TOKEN, UNTIL, AS } = process.env
  const { promise, resolve } = Promise.withResolvers()
  const alive = setInterval(() => undefined, 1000) // the verifier keeps nobody alive
  promise.then(() => clearInterval(alive))
  subscribe('undici:client:sendHeaders', ({ request }) => request.path.includes(UNTIL) && setImmediate(resolve))
  const onEvent = ({ type }) => type === UNTIL && resolve()
  const options = { issuer: ISSUER, audience: ISSUER, revocations: true, timeout: 60_000, onEvent }
  if (AS === 'plugin') {
    const { default: Fastify } = await import('fastify')
    const { fastifySignet } = await import('signet-verifier/fastify')
    const app = Fastify().register(fastifySignet, options)
    await app.listen({ host: '127.0.0.1', port: 0 })
    await app.signet.verify(TOKEN)
    await promise
    await app.close()
  } else {
    const verifier = createVerifier(options)
    const verdict = verifier.verify(TOKEN).then(() => 'good', ({ code }) => code)
    await promise
    verifier.close()
    console.log(await verdict)
  }`

async function endsByItself(t: Test, folder: string, issuer: { ISSUER: string; TOKEN: string }): Promise<void> {
  await writeFile(join(folder, 'closes.js'), CLOSES)
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => void silent.close())
  const mute = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const away = `http://127.0.0.1:${await freePort()}`
  const CASES: [what: string, env: Record<string, string>, stdout: string][] = [
    ['keys and feed are there', { UNTIL: 'revocations_applied' }, 'good\n'],
    ['a long poll is under way', { UNTIL: 'wait=' }, 'good\n'],
    ['the same as a plugin', { UNTIL: 'wait=', AS: 'plugin' }, ''],
    ['an issuer that never answers', { UNTIL: 'jwks', ISSUER: mute }, 'keys_unavailable\n'],
    ['an issuer that is away', { UNTIL: 'keys_failed', ISSUER: away }, 'keys_unavailable\n'],
  ]
  const ends = CASES.map(async ([what, env, stdout]) => {
    const { finished } = run(t, join(folder, 'closes.js'), [], { ...issuer, ...env })
    const { code, stdout: printed, stderr } = await finished
    t.same({ code, printed, stderr }, { code: 0, printed: stdout, stderr: '' }, what)
  })
  await Promise.all(ends)
}
