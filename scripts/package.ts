import { existsSync } from 'node:fs'
import { copyFile, readFile, rename, rm, writeFile } from 'node:fs/promises'

// `npm pack` makes the package that other services install: the verifier alone, with the dependencies that it needs to verify.
// npm takes the manifest from package.json and from nowhere else, so the package's own stands there while it packs.

const MANIFEST = 'package.json'
const KEPT = '.package.json.kept'
const NEEDED = ['@sinclair/typebox', 'fastify-plugin']

const [step] = process.argv.slice(2)
if (step === 'prepare') await prepare()
else if (step === 'restore') await restore()
else throw new Error('npm pack calls this: prepare before, restore after')

async function prepare(): Promise<void> {
  if (existsSync(KEPT)) await restore() // a run before was cut off
  const { name, version, license, type, dependencies } = JSON.parse(await readFile(MANIFEST, 'utf8'))
  const manifest = {
    name,
    version,
    description:
      "Verifies Signet's access tokens in your service: nothing is asked, and what is taken back is refused.",
    license,
    type,
    engines: { node: '>=20.3' }, // AbortSignal.any
    exports: {
      './verifier': { types: './dist/verifier/index.d.ts', default: './dist/verifier/index.js' },
      './package.json': './package.json',
    },
    files: ['dist'],
    dependencies: Object.fromEntries(NEEDED.map((dependency) => [dependency, dependencies[dependency]])),
    peerDependencies: { fastify: '^5.0.0' },
    peerDependenciesMeta: { fastify: { optional: true } },
  }
  await copyFile(MANIFEST, `${KEPT}.new`)
  await rename(`${KEPT}.new`, KEPT)
  await writeFile(MANIFEST, `${JSON.stringify(manifest, null, 2)}\n`)
}

async function restore(): Promise<void> {
  await copyFile(KEPT, MANIFEST)
  await rm(KEPT)
}
