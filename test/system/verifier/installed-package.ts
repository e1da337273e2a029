import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import packageJson from '../../../package.json' with { type: 'json' }
import { temporaryFolder } from '../../support/app.ts'
import { ROOT } from '../../support/service.ts'

const TSC = join(ROOT, 'node_modules/typescript/bin/tsc')
/** tap gives options to every Node process of a test, and the compiler can't run with them. A shell unsets them. */
const execute = (cwd: string, command: string, ...args: readonly string[]) =>
  promisify(execFile)('sh', ['-c', 'unset NODE_OPTIONS; exec "$@"', 'sh', command, ...args], { cwd })

/** The pages in the package. */
export const PAGES = ['README.md', 'recipes.md', 'sockets.md']
const pages = await Promise.all(PAGES.map((page) => readFile(join(ROOT, 'src/verifier', page), 'utf8')))

/** A program that a page of the package prints, by the name in its first line. */
export function recipe(name: string): string {
  const [, code] = new RegExp(`\`\`\`[jt]s\n// ${name}\n([^]*?)\`\`\``).exec(pages.join('\n')) ?? []
  if (code === undefined) throw new Error(`no page has a recipe for ${name}`)
  return code
}

/** `npm run package` in a copy of the repository. @returns the tarballs, and the files outside dist/ that it changed */
export async function buildPackages(t: Test): Promise<{ tarballs: string[]; changed: string[] }> {
  const source = await temporaryFolder(t)
  for (const name of ['package.json', 'tsconfig.json', 'src', 'scripts', 'README.md', 'LICENSE'])
    await cp(join(ROOT, name), join(source, name), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(source, 'node_modules'))
  const before = await filesOf(source)
  await execute(source, 'npm', 'run', 'package')
  const after = await filesOf(source)
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
    (file) => before.get(file) !== after.get(file),
  )
  const tarballs = ['verifier', 'client'].map((name) => join(source, `dist/signet-${name}-${packageJson.version}.tgz`))
  return { tarballs, changed: changed.filter((file) => !/^dist\b/.test(file)) }
}

/** Each file and folder, with the time of its last change; without dependencies, which are a link to everybody's. */
async function filesOf(folder: string): Promise<Map<string, number>> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => !name.startsWith('node_modules'))
  const times = names.map(async (name) => [name, (await stat(join(folder, name))).mtimeMs] as const)
  return new Map(await Promise.all(times))
}

/**
 * `npm install` of both packages in an empty folder. The frameworks are those of this repository: npm would need as
 * long again for their 130 packages.
 *
 * @returns the folder
 */
export async function installPackages(t: Test, tarballs: readonly string[]): Promise<string> {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await execute(folder, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', ...tarballs)
  await mkdir(join(folder, 'node_modules/@types'))
  for (const name of ['fastify', 'express', '@types/express', '@types/node'])
    await symlink(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
  return folder
}

/** The install of an Express user: a folder from which Fastify can't be resolved. */
export async function withoutFastify(t: Test, installed: string): Promise<string> {
  const folder = await temporaryFolder(t)
  const [from, to] = [join(installed, 'node_modules'), join(folder, 'node_modules')]
  await mkdir(to)
  await cp(join(from, 'signet-verifier'), join(to, 'signet-verifier'), { recursive: true })
  for (const name of ['express', '@types', '@sinclair']) await symlink(join(from, name), join(to, name))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  return folder
}

/**
 * Type-checks files as strictly as a consumer may.
 *
 * @param options.declarations whether the declarations of packages are checked too
 * @param options.lib what the compiler knows of the platform
 * @returns the errors
 */
export async function typeErrors(
  folder: string,
  files: readonly string[],
  resolution: string,
  { declarations = true, lib = 'es2022' } = {},
): Promise<string[]> {
  const module = resolution === 'bundler' ? 'preserve' : resolution
  const checks = ['--skipLibCheck', String(!declarations), '--skipDefaultLibCheck'] // not those of the compiler itself
  const strict = ['--strict', '--exactOptionalPropertyTypes', ...checks]
  const node = ['--target', 'es2022', '--lib', lib, '--types', 'node', '--noEmit', '--singleThreaded']
  const args = [...strict, ...node, '--module', module, '--moduleResolution', resolution, ...files]
  const { stdout } = await execute(folder, process.execPath, TSC, ...args).catch((failed) => {
    if (failed.stdout === '') throw failed // the compiler itself failed
    return failed
  })
  return stdout.split('\n').filter((line: string) => /^\S/.test(line))
}

/** The same program with `require()`. */
export const withRequire = (code: string) => code.replaceAll(/^import (.*) from ('.*')$/gm, 'const $1 = require($2)')
