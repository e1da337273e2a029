import { execFile } from 'node:child_process'
import { copyFile, glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import packageJson from '../../package.json' with { type: 'json' }
import { compileChecks } from './compiled-checks.ts'
import { bundlesOf, type PublishedPackage, packageManifest } from './package-manifest.ts'

/** Members of no public type of signet-client: their short names make room for what people use. */
const INTERNAL_NAMES =
  'isFailing isUsable renewBelowMs tellToken exclusive assertOpen adopt offer isOver say ask take access current ' +
  'held requests tabs renewal store platform emit failure isCookie origins since leftMs post send response end fail ' +
  'load save clear pause pauseMs wait'
const INTERNAL_MEMBERS = new RegExp(`^(${INTERNAL_NAMES.replaceAll(' ', '|')})$`)

// `npm run package` makes the packages that other projects install: dist/<name>/ holds the files of a package, and
// dist/<name>-<version>.tgz is what `npm pack` makes of them. Nothing outside dist/ is written.

const PACKAGES: readonly PublishedPackage[] = [
  {
    name: 'signet-verifier',
    description: 'Verifies the access tokens of a Signet server in your service, and refuses the revoked ones.',
    keywords: 'jwt access-token verify jwks revocation fastify express hono nextjs nestjs lambda rfc9068'.split(' '),
    folder: 'verifier',
    entries: {
      '.': 'index',
      './fastify': 'fastify',
      './file-store': 'store/file-store',
      './express': 'adapters/express',
      './hono': 'adapters/hono',
      './http': 'adapters/http',
      './lambda': 'adapters/lambda',
      './mcp': 'mcp',
      './nest': 'adapters/nest',
      './next': 'adapters/next',
    },
    webEntries: { '.': 'index-web' },
    commands: { 'signet-gate': 'gate/signet-gate', 'signet-verifier': 'explain/explain-bin' },
    node: '>=20.3', // older ones were never tried
    dependencies: ['@sinclair/typebox'],
    optionalPeers: { fastify: '^5.0.0' }, // the other adapters need no types of their frameworks
  },
  {
    name: 'signet-client',
    description: 'Holds the session of a person who signed in at a Signet server: in browsers, on phones, in Node.',
    keywords: ['session', 'access-token', 'refresh-token', 'spa', 'react-native', 'fetch', 'rfc6750', 'rfc9470'],
    folder: 'client',
    entries: { '.': 'index', './node': 'node' },
    node: '>=20',
    dependencies: [],
    optionalPeers: {},
    globalName: 'signetClient',
  },
]

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const DIST = join(ROOT, 'dist')
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc')
/** The options that turn the ES modules of the source into CommonJS. Their types were checked just before. */
const COMMONJS = [
  '--module',
  'commonjs',
  '--moduleResolution',
  'bundler',
  '--verbatimModuleSyntax',
  'false',
  '--noCheck',
]

const execute = promisify(execFile)

for (const one of PACKAGES) await makePackage(one)
for (const tarball of await pack()) process.stdout.write(`dist/${tarball}\n`)

async function makePackage(one: PublishedPackage): Promise<void> {
  const { name, folder } = one
  const target = join(DIST, name)
  const source = join(ROOT, 'src', folder)
  await mkdir(DIST, { recursive: true })
  for await (const old of glob([name, `${name}-*.tgz`], { cwd: DIST })) await rm(join(DIST, old), { recursive: true })
  await compile(source, join(target, 'esm'))
  await compileChecks(join(target, 'esm'), join(ROOT, 'src'), 'esm')
  if (one.globalName === undefined) {
    await compile(source, join(target, 'cjs'), COMMONJS)
    await compileChecks(join(target, 'cjs'), join(ROOT, 'src'), 'cjs')
    await writeJson(join(target, 'cjs/package.json'), { type: 'commonjs' })
  } else await bundle(one, one.globalName, target)
  await writeJson(join(target, 'package.json'), packageManifest(one, packageJson))
  for await (const page of glob('*.md', { cwd: source })) await copyFile(join(source, page), join(target, page))
  await copyFile(join(ROOT, 'LICENSE'), join(target, 'LICENSE'))
}

/** @returns the names of the tarballs in dist/ */
async function pack(): Promise<string[]> {
  const args = ['pack', '--silent', '--ignore-scripts', ...PACKAGES.map(({ name }) => `./${name}`)]
  const { stdout } = await execute('npm', args, { cwd: DIST, shell: process.platform === 'win32' })
  return stdout.trim().split(/\r?\n/)
}

async function compile(source: string, outDir: string, options: readonly string[] = []): Promise<void> {
  await execute(process.execPath, [TSC, '-p', source, '--singleThreaded', '--outDir', outDir, ...options]).catch(
    ({ stdout, stderr }) => {
      throw new Error(`tsc -p ${source}: ${stdout}${stderr}`)
    },
  )
  // tsc rewrites the extensions of imports in code but not in declarations, and not every tool that reads declarations
  // resolves `.ts`.
  for await (const file of glob('**/*.d.ts', { cwd: outDir })) {
    const path = join(outDir, file)
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replaceAll(/((?:from|import) ['"]\.[^'"]*)\.ts(?=['"])/g, '$1.js'))
  }
}

/** The main entry in one minified file, for pages that are built without a bundler. */
async function bundle(one: PublishedPackage, globalName: string, target: string): Promise<void> {
  for (const [format, file] of Object.entries(bundlesOf(one)))
    await build({
      entryPoints: [join(target, 'esm', one.folder, `${one.entries['.']}.js`)],
      outfile: join(target, file),
      format: format as 'esm' | 'iife',
      ...(format === 'iife' && { globalName }),
      target: 'es2022',
      bundle: true,
      minify: true,
      ...(one.globalName !== undefined && { mangleProps: INTERNAL_MEMBERS }),
      logLevel: 'error',
    })
}

async function writeJson(path: string, value: object): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`)
}
