import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import tap, { type Test } from 'tap'
import type { Answer, Command, Ready } from './postgres-server.ts'

// One real PostgreSQL per test process, started when the first test asks for it and gone with the process.

interface Server extends Ready {
  readonly child: ChildProcess
}

let server: Promise<Server> | undefined
let running = true

/** Databases that a test is done with, empty again: to make one and to drop it takes a fifth of a second. */
const free: string[] = []

/** The address of an empty database. It ends with the test. */
export async function postgresUrl(t: Test): Promise<string> {
  if (!running) await startPostgres() // the test before may have ended without it
  const name = free.pop() ?? (await newDatabase())
  t.teardown(async () => {
    if (running) await empty(name)
  })
  return (await theServer()).url + name
}

async function newDatabase(): Promise<string> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  // The other strategy writes each page of the template to the log as well.
  await ask(`CREATE DATABASE ${name} STRATEGY = file_copy`)
  return name
}

/** As it is when it is made, for the next test. Who is connected is thrown out. */
async function empty(name: string): Promise<void> {
  await ask(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${name}'`)
  await administer(
    `DROP SCHEMA public CASCADE;
     CREATE SCHEMA public AUTHORIZATION pg_database_owner;
     GRANT USAGE ON SCHEMA public TO PUBLIC;
     ALTER DATABASE ${name} RESET ALL`,
    name,
  )
  free.push(name)
}

/** PEM of the certificate that the server shows: for `localhost`, signed by itself. */
export async function postgresCertificate(): Promise<string> {
  return (await theServer()).certificate
}

/** Stops the server; open connections are told. Every database of this process is away until `startPostgres`. */
export const stopPostgres = () => command('stop')
/** Kills the server; it has to recover when it is started again. */
export const crashPostgres = () => command('crash')
/** Starts the server again, on the same port and data. Resolves when it takes connections. */
export const startPostgres = () => command('start')

/**
 * Starts a second server, which follows the first: an asynchronous standby.
 *
 * @returns its address, without the name of a database. It is gone with the process.
 */
export async function startStandby(): Promise<string> {
  const { child } = await theServer()
  child.send('standby')
  const started = await answer(child)
  if (typeof started !== 'object' || !('standby' in started)) throw new Error('PostgreSQL answered what was not asked')
  return started.standby
}

/** Runs one statement as superuser, on a connection of its own. */
export async function administer(sql: string, database = 'postgres'): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: (await theServer()).url + database, ssl: false })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

/** pg has these two, and its types lack them. */
type Kept = Client & { ref(): void; unref(): void }
let kept: Kept | undefined
let asked = 0

/** Runs one statement as superuser, on a connection that is kept: making one takes longer than most statements. */
async function ask(sql: string): Promise<void> {
  const client = kept ?? (await keep())
  asked += 1
  client.ref()
  await client.query(sql).finally(() => {
    asked -= 1
    if (asked === 0) client.unref() // a test process ends when its tests have
  })
}

async function forget(): Promise<void> {
  kept?.ref()
  await kept?.end()
  kept = undefined
}

async function keep(): Promise<Kept> {
  const client = new Client({ connectionString: `${(await theServer()).url}postgres`, ssl: false }) as Kept
  client.on('error', () => {
    kept = undefined
  })
  await client.connect()
  kept = client
  return client
}

async function command(name: Command): Promise<void> {
  const { child } = await theServer()
  await forget()
  running = name === 'start'
  child.send(name)
  await answer(child)
}

function theServer(): Promise<Server> {
  server ??= launch()
  return server
}

async function launch(): Promise<Server> {
  const path = fileURLToPath(new URL('./postgres-server.ts', import.meta.url))
  const { PATH, TMPDIR } = process.env
  const child = fork(path, {
    detached: true, // Ctrl-C must reach the tests first
    env: { PATH, TMPDIR }, // nothing of tap's: it follows the processes that it knows of
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  child.unref()
  tap.teardown(async () => {
    child.ref()
    const exited = once(child, 'exit')
    if (child.connected) child.disconnect()
    await exited
  })
  const ready = await answer(child)
  if (ready === 'done' || !('ready' in ready)) throw new Error('PostgreSQL answered what was not asked')
  return { child, ...ready.ready }
}

async function answer(child: ChildProcess): Promise<Exclude<Answer, { failed: string }>> {
  child.channel?.ref()
  const heard = new AbortController()
  const exited = once(child, 'exit', heard).then(() => [{ failed: 'the PostgreSQL of the tests ended' }])
  const answers = Promise.race([once(child, 'message', heard), exited])
  const [message] = (await answers.finally(() => heard.abort())) as [Answer]
  child.channel?.unref() // a test process ends when its tests have
  if (typeof message === 'object' && 'failed' in message) throw new Error(message.failed)
  return message
}
