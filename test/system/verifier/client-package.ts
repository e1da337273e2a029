import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import vm from 'node:vm'
import { gzipSync } from 'node:zlib'
import type { Test } from 'tap'
import packageJson from '../../../package.json' with { type: 'json' }
import { PASSWORD } from '../../support/app.ts'
import { ROOT, run, type ServerProcess } from '../../support/service.ts'
import { typeErrors } from './installed-package.ts'

// The package signet-client, as a stranger has it: installed with npm. It shares the install with signet-verifier.

/** What the package promises. */
const MAX_GZIP_BYTES = 5120

/** What is true of the package as it lies there. */
export async function clientPackage(t: Test, folder: string): Promise<void> {
  await t.test('signet-client: what is in it', (t) => contents(t, folder))
  await t.test('signet-client: its types, and the programs of its README', (t) => types(t, folder))
}

async function contents(t: Test, folder: string): Promise<void> {
  const installed = join(folder, 'node_modules/signet-client')
  const read = (file: string) => readFile(join(installed, file), 'utf8')
  const { name, version, license, dependencies = {}, peerDependencies = {} } = JSON.parse(await read('package.json'))
  t.same({ name, version, license }, { name: 'signet-client', version: packageJson.version, license: 'Apache-2.0' })
  t.same({ dependencies, peerDependencies }, { dependencies: {}, peerDependencies: {} })
  const files = ['LICENSE', 'README.md', 'esm', 'package.json', 'signet-client.js', 'signet-client.mjs']
  t.same((await readdir(installed)).sort(), files)
  t.equal(await read('README.md'), await readFile(join(ROOT, 'src/client/README.md'), 'utf8'))
  t.equal(await read('LICENSE'), await readFile(join(ROOT, 'LICENSE'), 'utf8'))

  const bytes = gzipSync(await read('signet-client.mjs'), { level: 9 }).length
  t.comment(`signet-client.mjs: ${bytes} bytes with gzip`)
  t.ok(bytes <= MAX_GZIP_BYTES, `${bytes} bytes`)
  for (const file of ['signet-client.mjs', 'signet-client.js'])
    t.notMatch(await read(file), /\b(import|require)\b|sessionStorage|localStorage|\beval\b|new Function/, file)

  // A place without a DOM, without timers, without anything: the import itself asks for none of it.
  const bare = vm.createContext({ TypeError, Error })
  vm.runInContext(`${await read('signet-client.js')}\nglobalThis.names = Object.keys(signetClient)`, bare)
  t.same([...bare.names].sort(), ['SignetClientError', 'createSession', 'memoryStorage'])
}

/** As much of other packages as the programs of the README use. */
const OTHERS = `
declare module 'react' {
  export function useSyncExternalStore<T>(
    subscribe: (changed: () => void) => () => void, get: () => T, onServer?: () => T): T
}
declare module 'vue' {
  export function ref<T>(value: T): { value: T }
  export function readonly<T>(value: { value: T }): { readonly value: T }
  export function onScopeDispose(run: () => void): void
}
declare module 'expo-secure-store' {
  export const AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY: number
  export function getItemAsync(key: string): Promise<string | null>
  export function setItemAsync(key: string, value: string, options?: { keychainAccessible?: number }): Promise<void>
  export function deleteItemAsync(key: string): Promise<void>
}
declare module 'react-native-keychain' {
  interface Options { service?: string; accessible?: string }
  export const ACCESSIBLE: { readonly AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY: string }
  export function getGenericPassword(options: Options): Promise<false | { username: string; password: string }>
  export function setGenericPassword(name: string, password: string, options: Options): Promise<unknown>
  export function resetGenericPassword(options: Options): Promise<boolean>
}
`
const SLIP = `
import { createSession } from 'signet-client'
createSession({ issuer: 'https://auth.example.com', transport: 'cokie' })
`

/** The programs of the README, by the name in their first line. */
async function readmePrograms() {
  const page = await readFile(join(ROOT, 'src/client/README.md'), 'utf8')
  return [...page.matchAll(/^```ts\n\/\/ ([\w-]+)\n(.*?)^```$/gms)]
}

/** Writes the program of the README that needs no DOM. @returns its file in the folder */
export async function nodeProgram(folder: string): Promise<string> {
  const [, , code = ''] = (await readmePrograms()).find(([, name]) => name === 'node') ?? []
  await writeFile(join(folder, 'client-node.ts'), code)
  return 'client-node.ts'
}

async function types(t: Test, folder: string): Promise<void> {
  const programs = await readmePrograms()
  t.ok(programs.length >= 9, 'the programs were found')
  for (const [, name, code = ''] of programs) await writeFile(join(folder, `${name}.ts`), code)
  await writeFile(join(folder, 'others.d.ts'), OTHERS)
  await writeFile(join(folder, 'client-slip.ts'), SLIP)
  const files = [...programs.map(([, name]) => `${name}.ts`), 'others.d.ts', 'client-slip.ts']
  for (const resolution of ['node16', 'bundler']) {
    const errors = await typeErrors(folder, files, resolution, { lib: 'es2022,dom' })
    t.equal(errors.length, 1, `${resolution}: ${errors.join('; ')}`)
    t.match(errors[0], /^client-slip\.ts\(\d+,\d+\): error TS2\d+: .*cokie/, resolution)
  }
}

/** A command line: signs up, ends, comes back by its file, confirms the login, signs out. */
const PROGRAM = `
  import { createSession } from 'signet-client'
  import { fileStorage } from 'signet-client/node'
  const { ISSUER, FILE, PASSWORD } = process.env
  const session = createSession({ issuer: ISSUER, storage: fileStorage(FILE) })
  const said = [await session.start()]
  if (said[0] === 'signed-out') await session.register({ email: 'client@example.com', password: PASSWORD })
  else {
    const before = session.claims.auth_time
    await session.reauthenticate(PASSWORD)
    said.push(session.claims.auth_time >= before)
    await session.refresh()
    said.push((await session.fetch(ISSUER + '/v1/me')).status)
    await session.logout()
  }
  said.push(session.state)
  console.log(JSON.stringify(said))`

export async function clientRuns(t: Test, folder: string, server: ServerProcess): Promise<void> {
  await writeFile(join(folder, 'client.js'), PROGRAM)
  const env = { ISSUER: server.url, FILE: join(folder, 'session.json'), PASSWORD }
  const says = async () => JSON.parse((await run(t, join(folder, 'client.js'), [], env).finished).stdout)
  t.same(await says(), ['signed-out', 'signed-in'])
  t.same(await says(), ['signed-in', true, 200, 'signed-out'], 'another process goes on with the file')
  await t.rejects(readFile(env.FILE), { code: 'ENOENT' }, 'nothing is left')
}
