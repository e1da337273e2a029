import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, chownSync, constants, mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from './free-port.ts'
import { unprivilegedUser } from './postgres-binaries.ts'

// A real PgBouncer between a test and the PostgreSQL of the tests, where this machine has one.

const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
const program = FOLDERS.map((folder) => join(folder, 'pgbouncer')).find(isProgram)

/** Why a test that needs it is left out; false where there is one. */
export const noPgbouncer = program === undefined && 'this machine has no pgbouncer (apt-get install pgbouncer)'

/** It ends when its input does: so it is gone with the test process, also when that one is killed. */
const SCRIPT = '"$0" "$1" & cat >/dev/null; kill $!; wait'

export interface Pgbouncer {
  /** The address of the same database, through it. */
  readonly url: string
  /** Ends it at once, as `systemctl stop` does. Its clients lose their connections. */
  stop(): Promise<void>
  /** Starts it again on the same port, with other settings if some are given. */
  start(settings?: Record<string, string>): Promise<void>
}

/**
 * Starts PgBouncer before one database. It ends with the test.
 *
 * @param target the address of the database without it
 * @param settings of the section [pgbouncer]. Everything else is at its default, but for the place, the users and
 *   `pool_mode = transaction`
 */
export async function startPgbouncer(
  t: Test,
  target: string,
  settings: Record<string, string> = {},
): Promise<Pgbouncer> {
  const user = unprivilegedUser() // as root it refuses to run
  const folder = mkdtempSync(join(tmpdir(), 'signet-pgbouncer-'))
  const port = await freePort()
  const { username, password, hostname, port: targetPort, pathname } = new URL(target)
  const write = (name: string, content: string) => {
    writeFileSync(join(folder, name), content, { mode: 0o600 })
    if (user.uid !== undefined && user.gid !== undefined) chownSync(join(folder, name), user.uid, user.gid)
  }
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid)
  write('userlist.txt', `"${username}" "${decodeURIComponent(password)}"\n`)
  let child: ChildProcess | undefined

  const start = async (changed = settings) => {
    const place = { listen_addr: '127.0.0.1', listen_port: String(port), unix_socket_dir: '' }
    const users = { auth_type: 'scram-sha-256', auth_file: join(folder, 'userlist.txt') }
    const lines = Object.entries({ ...place, ...users, pool_mode: 'transaction', ...changed })
    const databases = `[databases]\n${pathname.slice(1)} = host=${hostname} port=${targetPort}\n`
    write('pgbouncer.ini', `${databases}[pgbouncer]\n${lines.map((line) => line.join(' = ')).join('\n')}\n`)
    child = await launch(join(folder, 'pgbouncer.ini'), user)
  }
  const stop = async () => {
    if (child === undefined || child.exitCode !== null) return
    const exited = once(child, 'exit')
    child.stdin?.end()
    await exited
  }
  t.teardown(async () => {
    await stop()
    await rm(folder, { recursive: true, force: true })
  })
  await start()
  return { url: Object.assign(new URL(target), { port }).href, stop, start }
}

function launch(configuration: string, user: ReturnType<typeof unprivilegedUser>): Promise<ChildProcess> {
  const child = spawn('/bin/sh', ['-c', SCRIPT, program ?? '', configuration], {
    stdio: ['pipe', 'ignore', 'pipe'],
    detached: true, // Ctrl-C must reach the tests first
    ...user,
  })
  child.stdin?.on('error', () => undefined)
  return new Promise((resolve, reject) => {
    let log = ''
    child.stderr?.on('data', (chunk) => {
      log = (log + chunk).slice(-10_000)
      if (log.includes('process up')) resolve(child)
      if (log.includes('FATAL')) reject(new Error(`PgBouncer did not start: ${log}`))
    })
    child.once('exit', () => reject(new Error(`PgBouncer ended: ${log}`)))
  })
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
