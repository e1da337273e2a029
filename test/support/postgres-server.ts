import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificate } from './certificate.ts'
import { freePort } from './free-port.ts'
import { postgresPrograms, unprivilegedUser } from './postgres-binaries.ts'

// A process of its own that owns one PostgreSQL in a temporary folder. It ends with the test that forked it, also
// when that one is killed: the channel between the two closes then.

/** `stop` as an administrator does it, `crash` as the out-of-memory killer does, `start` again. */
export type Command = 'start' | 'stop' | 'crash'

export interface Ready {
  /** Without the name of a database. */
  readonly url: string
  /** PEM of the certificate that the server shows: for `localhost`, signed by itself. */
  readonly certificate: string
}

export type Answer = { readonly ready: Ready } | { readonly failed: string } | 'done'

const SUPERUSER = 'signet'

const user = unprivilegedUser()
const folder = mkdtempSync(join(tmpdir(), 'signet-postgres-'))
const path = (name: string) => join(folder, name)
let server: ChildProcess | undefined

process.on('disconnect', end)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined) // the test decides when it is over

try {
  const { password, certificate } = prepareFolder()
  const programs = postgresPrograms(folder, user)
  const options = { cwd: folder, env: { ...process.env, LC_ALL: 'C' }, ...user }
  initialise(programs, options)
  const port = await startOnFreePort(programs, options)
  process.on('message', async (command: Command) =>
    answer(await perform(command, () => start(programs, options, port))),
  )
  answer({ ready: { url: `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/`, certificate } })
} catch (error) {
  answer({ failed: String(error) })
}

function answer(message: Answer): void {
  process.send?.(message, undefined, undefined, () => undefined) // nobody may be there to hear it
}

type Options = Parameters<typeof spawn>[2]

function prepareFolder(): { password: string; certificate: string } {
  const password = randomBytes(16).toString('hex')
  const { certificate, privateKey } = makeCertificate('localhost')
  const files = { password, certificate, privateKey }
  for (const [name, content] of Object.entries(files)) writeFileSync(path(name), content, { mode: 0o600 })
  mkdirSync(path('data'), { mode: 0o700 })
  const { uid, gid } = user
  if (uid !== undefined && gid !== undefined)
    for (const name of ['', 'data', ...Object.keys(files)]) chownSync(path(name), uid, gid)
  return { password, certificate }
}

function initialise(programs: string, options: Options): void {
  const args = [
    `--pgdata=${path('data')}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${path('password')}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // Not the byte order that SQLite uses: so a store that depends on either order fails its tests.
    ...['--locale=C', '--locale-provider=icu', '--icu-locale=en-US'],
    '--no-sync',
    '--no-instructions',
  ]
  execFileSync(join(programs, 'initdb'), args, { ...options, stdio: 'pipe' })
}

async function startOnFreePort(programs: string, options: Options): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort()
    try {
      await start(programs, options, port)
      return port
    } catch (error) {
      if (attempt === 5) throw error // somebody else may have taken the port
    }
  }
}

function start(programs: string, options: Options, port: number): Promise<void> {
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    ssl: 'on',
    ssl_cert_file: path('certificate'),
    ssl_key_file: path('privateKey'),
    // What a crash of PostgreSQL may lose is as with `on`; only a crash of the machine would lose more.
    fsync: 'off',
    full_page_writes: 'off',
    deadlock_timeout: '50ms',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(join(programs, 'postgres'), ['-D', path('data'), ...args], { ...options, stdio: 'pipe' })
  server = child
  return new Promise((resolve, reject) => {
    let log = ''
    child.stderr?.on('data', (chunk) => {
      log = (log + chunk).slice(-10_000)
      if (log.includes('ready to accept connections')) resolve()
    })
    child.on('error', reject)
    child.on('exit', () => reject(new Error(`PostgreSQL ended: ${log}`)))
  })
}

async function perform(command: Command, startAgain: () => Promise<void>): Promise<Answer> {
  try {
    if (command === 'start') await startAgain()
    else await halt(command === 'crash' ? 'SIGQUIT' : 'SIGINT')
    return 'done'
  } catch (error) {
    return { failed: String(error) }
  }
}

async function halt(signal: NodeJS.Signals): Promise<void> {
  const child = server
  server = undefined
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

async function end(): Promise<void> {
  await halt('SIGQUIT')
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
  process.exit()
}
