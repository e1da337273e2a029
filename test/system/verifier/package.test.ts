import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import packageJson from '../../../package.json' with { type: 'json' }
import { PASSWORD, temporaryFolder } from '../../support/app.ts'
import { post, ROOT, run, startServer } from '../../support/service.ts'

// What a stranger does: npm pack, npm install in an empty folder, the README's recipes as they are printed, real processes.

/** npm as a person runs it: the test runner gives every process that it starts options for Node, and tsc can't run with them. */
const npm = (args: readonly string[], cwd: string) =>
  promisify(execFile)('sh', ['-c', 'unset NODE_OPTIONS; exec npm "$@"', 'npm', ...args], { cwd })

const readme = await readFile(join(ROOT, 'README.md'), 'utf8')
const RECIPES = ['fastify', 'express', 'http'] as const

/** Packs a copy of the source, so that nobody who reads package.json meanwhile sees another one. */
async function installed(t: Test): Promise<string> {
  const dir = await temporaryFolder(t)
  const source = join(dir, 'source')
  const empty = join(dir, 'empty')
  await Promise.all([mkdir(source), mkdir(empty)])
  for (const name of ['package.json', 'tsconfig.json', 'src', 'scripts', 'README.md', 'LICENSE'])
    await cp(join(ROOT, name), join(source, name), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(source, 'node_modules'))
  await npm(['pack', '--pack-destination', empty], source)
  t.same(JSON.parse(await readFile(join(source, 'package.json'), 'utf8')), packageJson, 'package.json is as it was')

  const [tarball = ''] = await readdir(empty)
  const { fastify } = packageJson.dependencies
  const { express } = packageJson.devDependencies
  await writeFile(join(empty, 'package.json'), '{ "type": "module" }')
  const names = [`./${tarball}`, `fastify@${fastify}`, `express@${express}`]
  await npm(['install', '--prefer-offline', '--no-audit', '--no-fund', ...names], empty)
  for (const recipe of RECIPES) await writeFile(join(empty, `${recipe}.js`), recipeOf(recipe))
  return empty
}

function recipeOf(name: string): string {
  const [, code] = new RegExp(`\`\`\`js\n// ${name}\n([^]*?)\`\`\``).exec(readme) ?? []
  if (code === undefined) throw new Error(`the README has no recipe for ${name}`)
  return code
}

/** Starts a recipe. @returns what it answers to `GET path` with a token */
async function startRecipe(t: Test, folder: string, name: string, env: Record<string, string>) {
  const running = run(t, join(folder, `${name}.js`), [], env)
  const url = await new Promise<string>((resolve, reject) => {
    running.child.stdout?.on('data', () => {
      const [found] = /http:\/\/\S+/.exec(running.output()) ?? []
      if (found !== undefined) resolve(found.replace('[::1]', 'localhost'))
    })
    running.finished.then(({ stderr }) => reject(new Error(stderr)))
  })
  return {
    name,
    ask: async (token: string, path = '/me') => {
      const reply = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })
      await reply.arrayBuffer()
      return reply.status
    },
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => probe.once('listening', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}

async function until(condition: () => Promise<boolean>): Promise<number> {
  const began = performance.now()
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
  return Math.round(performance.now() - began)
}

t.test('npm pack, an empty folder, the recipes of the README, and a server that lives and dies', async (t) => {
  const folder = await installed(t)
  const { dependencies } = JSON.parse(await readFile(join(folder, 'node_modules/signet/package.json'), 'utf8'))
  t.same(Object.keys(dependencies).sort(), ['@sinclair/typebox', 'fastify-plugin'])

  const settings = { PORT: String(await freePort()), JWKS_MAX_AGE: '1', CLOCK_SKEW: '1' }
  const server = await startServer(t, settings)
  const issued = async (path: string, body: object) =>
    (await (await post(`${server.url}/v1/${path}`, body)).json()) as { access_token: string; refresh_token: string }
  const logIn = () => issued('login', { email: 'a@example.com', password: PASSWORD })
  await post(`${server.url}/v1/accounts`, { email: 'a@example.com', password: PASSWORD })
  let pair = await logIn()
  const [stays, goes, later] = [pair, await logIn(), await logIn()].map(({ access_token }) => access_token) as [
    string,
    string,
    string,
  ]

  const env = { ISSUER: server.url, AUDIENCE: server.url }
  const services = await Promise.all(RECIPES.map((name) => startRecipe(t, folder, name, env)))
  const all = async (token: string, status: number, what: string) => {
    for (const { name, ask } of services) t.equal(await ask(token), status, `${name}: ${what}`)
  }
  await all(stays, 200, 'a token')
  await all(goes, 200, 'another one')
  await all('x.y.z', 401, 'none')
  for (const { name, ask } of services) t.equal(await ask(stays, '/reports'), 403, `${name}: a scope that is missing`)

  await post(`${server.url}/v1/logout`, {}, { authorization: `Bearer ${goes}` })
  const delays = await Promise.all(services.map(({ ask }) => until(async () => (await ask(goes)) === 401)))
  t.comment(`a revoked session was refused after ${delays.join(', ')} ms`)
  await all(stays, 200, 'the other session')

  const rotation = run(t, 'scripts/keys.ts', ['rotate', '--lead', '6s'], server.env)
  t.equal((await rotation.finished).code, 0)
  const kid = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid
  let fresh = stays
  await until(async () => {
    pair = await issued('refresh', { refresh_token: pair.refresh_token })
    fresh = pair.access_token
    await Promise.all(
      services.map(async ({ name, ask }) => {
        const statuses = [await ask(fresh), await ask(stays)]
        if (statuses.some((status) => status !== 200)) t.fail(`${name}: ${statuses} during the rotation`)
      }),
    )
    return kid(fresh) !== kid(stays)
  })
  await all(fresh, 200, 'a token of the next key')

  server.child.kill('SIGKILL')
  await server.finished
  await all(stays, 200, 'the server is dead')
  await all(fresh, 200, 'the server is dead')

  const again = await startServer(t, server.env)
  t.equal(again.url, server.url)
  await all(later, 200, 'the server is back')
  await post(`${server.url}/v1/logout`, {}, { authorization: `Bearer ${later}` })
  const after = await Promise.all(services.map(({ ask }) => until(async () => (await ask(later)) === 401)))
  t.comment(`and after its return a revoked session after ${after.join(', ')} ms`)

  const issuer = { ISSUER: server.url, TOKEN: fresh }
  await t.test('a process whose verifier is closed ends by itself', (t) => endsByItself(t, folder, issuer))
})

/** Asks until a request that fits was sent, closes, and has nothing more to do; a process that something holds up ends with 9. */
const CLOSES = `
  import { subscribe } from 'node:diagnostics_channel'
  import Fastify from 'fastify'
  import { createVerifier, fastifySignet } from 'signet/verifier'
  setTimeout(() => process.exit(9), 20_000).unref()
  const { ISSUER, TOKEN, UNTIL, AS } = process.env
  const { promise, resolve } = Promise.withResolvers()
  subscribe('undici:client:sendHeaders', ({ request }) => request.path.includes(UNTIL) && setImmediate(resolve))
  const onEvent = ({ type }) => type === UNTIL && resolve()
  const options = { issuer: ISSUER, audience: ISSUER, revocations: true, timeout: 60_000, onEvent }
  if (AS === 'plugin') {
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
