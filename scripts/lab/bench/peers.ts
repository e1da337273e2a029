import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import packageJson from '../../../package.json' with { type: 'json' }
import { OperatorError } from '../../../src/errors/app-error.ts'
import type { Bench } from './figure.ts'
import { type Server, startScript } from './server-process.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** What services use instead of Signet. Fastify and Express have the versions that Signet itself is tested with. */
const PACKAGES = {
  fastify: packageJson.dependencies.fastify,
  '@fastify/jwt': packageJson.dependencies['@fastify/jwt'],
  '@fastify/cookie': packageJson.dependencies['@fastify/cookie'],
  express: packageJson.devDependencies.express,
  '@fastify/session': '^11.1.3',
  'connect-redis': '^9.0.0',
  'express-oauth2-jwt-bearer': '^1.10.0',
  'get-jwks': '^11.0.3',
  'oidc-provider': '^9.13.3',
  redis: '^6.3.1',
} as const
type PackageName = keyof typeof PACKAGES

export interface Peers {
  /** The folder with their packages and the scripts of peers/. */
  readonly dir: string
  /** `name version`, as installed. */
  versions(...names: PackageName[]): Promise<string>
  /** Starts one of the scripts. It counts as started when it gives any answer. */
  start(script: string, argument: object, core?: number): Promise<Server>
}

const installed = new WeakMap<Bench, Promise<Peers>>()

/**
 * Installs the peers from npm into the folder of this run, once. None of them is a dependency of Signet.
 *
 * @throws OperatorError when npm can't
 */
export function installPeers(bench: Bench): Promise<Peers> {
  const peers = installed.get(bench) ?? install(bench)
  installed.set(bench, peers)
  return peers
}

async function install(bench: Bench): Promise<Peers> {
  const dir = join(bench.folder, 'peers')
  await cp(join(ROOT, 'scripts/lab/bench/peers'), dir, { recursive: true })
  await writeFile(join(dir, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies: PACKAGES }))
  await npmInstall(dir)
  await linkVerifier(dir)
  return {
    dir,
    async versions(...names) {
      const all = names.map(async (name) => {
        const text = await readFile(join(dir, 'node_modules', name, 'package.json'), 'utf8')
        return `${name} ${JSON.parse(text).version}`
      })
      return (await Promise.all(all)).join(', ')
    },
    start: (script, argument, core) =>
      startScript(bench, { core }, (port) => ({ args: [join(dir, script), JSON.stringify({ port, ...argument })] })),
  }
}

/** The packages are only run, never built: none of their install scripts runs. */
export async function npmInstall(cwd: string): Promise<void> {
  const args = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error']
  const npm = spawn('npm', args, { cwd, stdio: ['ignore', 'ignore', 'pipe'], shell: process.platform === 'win32' })
  let complaint = ''
  npm.stderr.on('data', (chunk) => {
    complaint = `${complaint}${chunk}`.slice(0, 500)
  })
  const [code] = await once(npm, 'close').catch((error) => [error.message])
  if (code !== 0) throw new OperatorError(`the peers can't be installed: npm install: ${code} ${complaint}`.trim())
}

/**
 * `signet-verifier` as services import it. It is a link to the source, because Node strips no types from files in
 * node_modules.
 */
export async function linkVerifier(dir: string): Promise<void> {
  const signet = join(dir, 'node_modules/signet-verifier')
  await mkdir(signet)
  await symlink(join(ROOT, 'src'), join(signet, 'src'), 'dir')
  const exports = { '.': './src/verifier/index.ts', './fastify': './src/verifier/fastify.ts' }
  await writeFile(join(signet, 'package.json'), JSON.stringify({ name: 'signet-verifier', type: 'module', exports }))
}

/**
 * Writes the recipe that a page of the package shows, unchanged, as a script beside the peers.
 *
 * @returns the path of the script
 */
export async function writeRecipe({ dir }: Pick<Peers, 'dir'>, name: string, page = 'README.md'): Promise<string> {
  const text = await readFile(join(ROOT, 'src/verifier', page), 'utf8')
  const [, code] = new RegExp(`\`\`\`js\n// ${name}\n([^]*?)\`\`\``).exec(text) ?? []
  if (code === undefined) throw new OperatorError(`${page} has no recipe for ${name}`)
  const script = `recipe-${name}.js`
  await writeFile(join(dir, script), code)
  return join(dir, script)
}
