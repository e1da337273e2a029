import { execFile } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import type { Issuer } from '../issuer.ts'
import { npmVersion } from '../programs.ts'
import { type Command, inTime, start } from '../verifiers.ts'

const ROOT = join(import.meta.dirname, '../../../..')

/** Seconds; of the runtimes that look on demand. */
export const MAX_FEED_AGE_SECONDS = 1

/** The folder of the runtimes, below that of the run, and an issuer of their own. */
export interface RuntimesPlace {
  readonly folder: string
  readonly issuer: Issuer
}

/** A runtime in which the package is tried, with the service that is its program there. */
export interface Runtime {
  readonly name: string
  /** Below scripts/lab/interop/. */
  readonly recipe: string
  /** The npm package that has it. */
  readonly npm?: string
  readonly mode: 'follow' | 'on-demand'
  /** The form of the package that it loads. */
  readonly crypto: 'node:crypto' | 'Web Crypto'
  /** What the runtime's own server lets pass although Node refuses it: the beginning of a header line. */
  readonly lenient?: readonly string[]
  command(place: RuntimesPlace): Promise<Command>
}

export const RUNTIMES: readonly Runtime[] = [
  {
    name: 'Node',
    recipe: 'runtimes/services/node.js',
    mode: 'follow',
    crypto: 'node:crypto',
    command: async (place) => node(place, ['--disallow-code-generation-from-strings', service(place, 'node.js')]),
  },
  {
    name: 'Node, Web Crypto',
    recipe: 'runtimes/services/node-web.js',
    mode: 'follow',
    crypto: 'Web Crypto',
    async command(place) {
      const bundle = await bundled(place, 'node-web.js', { conditions: ['worker', 'browser'], format: 'esm' })
      return node(place, ['--disallow-code-generation-from-strings', bundle])
    },
  },
  {
    name: 'Bun',
    recipe: 'runtimes/services/bun.js',
    npm: 'bun',
    mode: 'follow',
    crypto: 'node:crypto',
    command: async (place) => ({ ...node(place, [service(place, 'bun.js')]), program: bin(place, 'bun') }),
  },
  {
    name: 'Deno',
    recipe: 'runtimes/services/deno.js',
    npm: 'deno',
    mode: 'follow',
    crypto: 'node:crypto',
    async command(place) {
      const args = ['run', '--allow-net', '--allow-env', '--allow-read', service(place, 'deno.js')]
      const env = { DENO_CERT: place.issuer.authority, DENO_DIR: join(place.folder, 'deno'), DENO_NO_UPDATE_CHECK: '1' }
      return { ...node(place, args, env), program: bin(place, 'deno') }
    },
  },
  {
    name: 'workerd',
    recipe: 'runtimes/services/workerd.js',
    npm: 'miniflare',
    mode: 'on-demand',
    crypto: 'Web Crypto',
    lenient: ['Authorization : '],
    async command(place) {
      const BUNDLE = await bundled(place, 'workerd.js', {
        conditions: ['workerd', 'worker', 'browser'],
        format: 'esm',
        external: ['cloudflare:workers'],
      })
      return node(place, [service(place, 'workerd-host.js')], { BUNDLE, ...ON_DEMAND })
    },
  },
  {
    name: 'edge-runtime',
    recipe: 'runtimes/services/edge.js',
    npm: 'edge-runtime',
    mode: 'on-demand',
    crypto: 'Web Crypto',
    async command(place) {
      const settings = Object.entries({ ...place.issuer.environment, ...ON_DEMAND })
      const BUNDLE = await bundled(place, 'edge.js', {
        conditions: ['edge-light', 'worker', 'browser'],
        format: 'iife',
        define: Object.fromEntries(settings.map(([name, value]) => [`process.env.${name}`, JSON.stringify(value)])),
      })
      return node(place, [service(place, 'edge-host.js')], { BUNDLE })
    },
  },
]

const ON_DEMAND = { MAX_FEED_AGE: String(MAX_FEED_AGE_SECONDS) }

const service = ({ folder }: RuntimesPlace, file: string) => join(folder, 'services', file)
const bin = ({ folder }: RuntimesPlace, name: string) => join(folder, 'node_modules/.bin', name)

function node({ folder, issuer }: RuntimesPlace, args: readonly string[], env: object = {}): Command {
  return { program: process.execPath, args, env: { ...issuer.environment, ...env }, cwd: folder }
}

interface Bundling {
  readonly conditions: string[]
  readonly format: 'esm' | 'iife'
  readonly external?: string[]
  readonly define?: Record<string, string>
}

/** @throws when something in the package needs a module of Node: esbuild knows none on this platform */
async function bundled(place: RuntimesPlace, file: string, { external = [], ...options }: Bundling): Promise<string> {
  const outfile = join(place.folder, 'bundles', file.replace(/js$/, options.format === 'esm' ? 'mjs' : 'js'))
  // The service of the row "Node, Web Crypto" is a server of Node; what it imports of the package may not be.
  const ofService = file === 'node-web.js' ? ['node:http', 'node:stream/consumers'] : []
  await build({
    ...options,
    external: [...external, ...ofService],
    entryPoints: [service(place, file)],
    outfile,
    bundle: true,
    platform: 'browser',
    target: 'es2022',
    logLevel: 'error',
  })
  return outfile
}

const run = (cwd: string, command: string, ...args: string[]) =>
  promisify(execFile)('sh', ['-c', 'unset NODE_OPTIONS; exec "$@"', 'sh', command, ...args], { cwd })

/** Makes the package as `npm run package` does, and installs its tarball beside the services. */
export async function installPackage(folder: string): Promise<void> {
  const { stdout } = await run(ROOT, 'npm', 'run', '--silent', 'package')
  const [tarball = ''] = /dist\/signet-verifier-\S+\.tgz/.exec(stdout) ?? []
  await mkdir(folder, { recursive: true })
  // npm runs the install scripts of these alone: they put the program for this machine in its place.
  const allowScripts = Object.fromEntries(['bun', 'deno', 'workerd'].map((name) => [name, true]))
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module', allowScripts }))
  await cp(join(import.meta.dirname, 'services'), join(folder, 'services'), { recursive: true })
  await npmInstall(folder, join(ROOT, tarball))
}

const npmInstall = (folder: string, what: string) =>
  run(folder, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', what)

/** @returns the version; undefined when it could not be installed */
export async function installRuntime(place: RuntimesPlace, { npm }: Runtime): Promise<string | undefined> {
  if (npm === undefined) return process.version.slice(1)
  const installed = await npmInstall(place.folder, npm).then(
    () => true,
    () => false,
  )
  return installed ? npmVersion(place, npm === 'miniflare' ? 'workerd' : npm) : undefined
}

/** @returns the URL of a service that listens, and what it wrote to standard error so far */
export async function startService(command: Command): Promise<{ url: string; complaint: () => string }> {
  const { child, complaint } = start(command)
  const line = new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', (chunk) => resolve(String(chunk).trim()))
    child.once('exit', () => reject(new Error(`${command.args.at(-1)} ended: ${complaint()}`)))
  })
  return { url: await inTime(line, String(command.args.at(-1))), complaint }
}

/** Runs a service that ends by itself. @returns what it printed, which is JSON */
export async function printedBy(place: RuntimesPlace, args: readonly string[], env: object): Promise<unknown> {
  const { env: all, ...command } = node(place, args, env)
  const { stdout } = await promisify(execFile)(command.program, [...args], { env: { ...all }, cwd: place.folder })
  return JSON.parse(stdout)
}
