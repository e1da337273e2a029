import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { makeCertificate } from './certificate.ts'
import { freePort } from './free-port.ts'
import { postgresPrograms, unprivilegedUser } from './postgres-binaries.ts'

// A process of its own that owns one PostgreSQL in a temporary folder. It ends with the test that forked it, also
// when that one is killed: the channel between the two closes then.

/**
 * `stop` as an administrator does it, `crash` as the out-of-memory killer does, `start` again. `standby` makes a second
 * server, which follows the first.
 */
export type Command = 'start' | 'stop' | 'crash' | 'standby'

export interface Ready {
  /** Without the name of a database. */
  readonly url: string
  /** PEM of the certificate that the server shows: for `localhost`, signed by itself. */
  readonly certificate: string
}

export type Answer = { readonly ready: Ready } | { readonly standby: string } | { readonly failed: string } | 'done'

const SUPERUSER = 'signet'

const user = unprivilegedUser()
const folder = mkdtempSync(join(tmpdir(), 'signet-postgres-'))
const path = (name: string) => join(folder, name)
let server: ChildProcess | undefined
let standby: ChildProcess | undefined

process.on('disconnect', end)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined) // the test decides when it is over

try {
  const { password, certificate } = prepareFolder()
  const programs = postgresPrograms(folder, user)
  const options = { cwd: folder, env: { ...process.env, LC_ALL: 'C' }, ...user }
  initialise(programs, options)
  const port = await startOnFreePort(programs, options)
  const url = (port: number) => `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/`
  process.on('message', async (command: Command) =>
    answer(
      command === 'standby'
        ? await startStandby(programs, options, url, port)
        : await perform(command, () => start(programs, options, port)),
    ),
  )
  answer({ ready: { url: url(port), certificate } })
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

async function start(programs: string, options: Options, port: number): Promise<void> {
  server = await launch(programs, options, port, 'data')
}

/** A copy of the running server that receives what it does: the low-level base backup of PostgreSQL's manual. */
async function startStandby(
  programs: string,
  options: Options,
  url: (port: number) => string,
  primary: number,
): Promise<Answer> {
  try {
    await halt(standby, 'SIGQUIT')
    rmSync(path('standby'), { recursive: true, force: true })
    await copyRunning(`${url(primary)}postgres`)
    const [{ username, password }, port] = [new URL(url(primary)), await freePort()]
    const conninfo = `host=127.0.0.1 port=${primary} user=${username} password=${password}`
    writeFileSync(path('standby/postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`)
    writeFileSync(path('standby/standby.signal'), '')
    const { uid, gid } = user
    if (uid !== undefined && gid !== undefined) chownAll(path('standby'), uid, gid)
    standby = await launch(programs, options, port, 'standby')
    return { standby: url(port) }
  } catch (error) {
    return { failed: String(error) }
  }
}

async function copyRunning(url: string): Promise<void> {
  const client = new Client({ connectionString: url, ssl: false })
  await client.connect()
  try {
    await client.query("SELECT pg_backup_start('standby', true)")
    const isCopied = (source: string) => !/\/(pg_replslot\/.+|postmaster\.(pid|opts))$/.test(source)
    cpSync(path('data'), path('standby'), { recursive: true, filter: isCopied })
    const { rows } = await client.query('SELECT labelfile FROM pg_backup_stop(false)')
    writeFileSync(path('standby/backup_label'), rows[0].labelfile)
  } finally {
    await client.end()
  }
}

function chownAll(folder: string, uid: number, gid: number): void {
  chownSync(folder, uid, gid)
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) chownSync(join(folder, name), uid, gid)
  chmodSync(folder, 0o700)
}

function launch(programs: string, options: Options, port: number, data: string): Promise<ChildProcess> {
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
  const child = spawn(join(programs, 'postgres'), ['-D', path(data), ...args], { ...options, stdio: 'pipe' })
  return new Promise((resolve, reject) => {
    let log = ''
    child.stderr?.on('data', (chunk) => {
      log = (log + chunk).slice(-10_000)
      if (/ready to accept (read-only )?connections/.test(log)) resolve(child)
    })
    child.on('error', reject)
    child.on('exit', () => reject(new Error(`PostgreSQL ended: ${log}`)))
  })
}

async function perform(command: Command, startAgain: () => Promise<void>): Promise<Answer> {
  try {
    if (command === 'start') await startAgain()
    else await halt(server, command === 'crash' ? 'SIGQUIT' : 'SIGINT')
    return 'done'
  } catch (error) {
    return { failed: String(error) }
  }
}

async function halt(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

async function end(): Promise<void> {
  await Promise.all([halt(server, 'SIGQUIT'), halt(standby, 'SIGQUIT')])
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
  process.exit()
}
