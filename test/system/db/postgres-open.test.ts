import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { loadConfig } from '../../../src/config/config.ts'
import { migrate } from '../../../src/db/migrate.ts'
import { openDatabase } from '../../../src/db/open.ts'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { temporaryFolder } from '../../support/app.ts'
import { openNode } from '../../support/engines.ts'
import { administer, postgresCertificate, postgresUrl, stopPostgres } from '../../support/postgres.ts'
import { isolated, run } from '../../support/service.ts'

// Opening PostgreSQL: what an operator gets to read when it can't be used, and what TLS promises.

const SECRET = 'hunter2'

async function refusal(url: string, env: Record<string, string> = {}): Promise<OperatorError> {
  return openDatabase(loadConfig({ env: { DATABASE_URL: url, ...env } })).then(
    (database) => database.close().then(() => Promise.reject(new Error('it was opened'))),
    (error) => error,
  )
}

function change(url: string, parts: Partial<URL>): string {
  return Object.assign(new URL(url), parts).href
}

async function certificateFile(t: Test): Promise<string> {
  const path = join(await temporaryFolder(t), 'ca')
  await writeFile(path, await postgresCertificate())
  return path
}

const encrypted = async (url: string, env: Record<string, string>, t: Test) => {
  const db = await openNode(t, url, env)
  const [row] = await db.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
  return row?.ssl === 1
}

t.test('what is wrong with the settings is one line that names them, and never the password', async (t) => {
  const good = change(await postgresUrl(t), { password: SECRET })
  const [ascii, ca] = ['ascii_only', await certificateFile(t)]
  await administer(`CREATE DATABASE ${ascii} ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc TEMPLATE template0`)
  const right = await postgresUrl(t)
  const cases: [string, Record<string, string>, RegExp, RegExp][] = [
    [good, {}, /DATABASE_URL: .*28P01: password authentication failed/, /user and password/],
    [change(good, { password: '' }), {}, /DATABASE_URL: .*password/, /user and password/],
    [change(good, { port: '1' }), {}, /DATABASE_URL: .*127\.0\.0\.1:1\/.*ECONNREFUSED/, /must run there/],
    [
      change(good, { hostname: 'localhost', port: '1' }),
      {},
      /DATABASE_URL: .*localhost:1\/.*ECONNREFUSED/,
      /must run there/,
    ],
    [change(right, { pathname: '/nothing' }), {}, /DATABASE_URL: .*3D000/, /createdb/],
    [change(right, { pathname: `/${ascii}` }), {}, /DATABASE_URL: the encoding .*SQL_ASCII/, /UTF8/],
    [`${good}?sslmode=verify-full`, {}, /DATABASE_URL: nothing may follow/, /DATABASE_TLS/],
    [good.replace(SECRET, `${SECRET}%zz`), {}, /DATABASE_URL: a %/, /%25/],
    [good, { DATABASE_CA_FILE: ca }, /DATABASE_CA_FILE: DATABASE_TLS=off checks no/, /verify/],
    [good, { DATABASE_TLS: 'verify', DATABASE_CA_FILE: '/nowhere/ca' }, /DATABASE_CA_FILE: can't read .*ENOENT/, /PEM/],
  ]
  for (const [url, env, message, hint] of cases) {
    const error = await refusal(url, env)
    t.ok(error instanceof OperatorError, error.message)
    t.match(error, { message, hint })
    const { password } = new URL(right)
    t.notMatch(`${error.message}${error.hint}`, /\n/)
    for (const secret of [SECRET, password]) t.notOk(`${error.stack}${error.hint}`.includes(secret), 'no password')
  }
})

t.test('a server that is full is told apart from one that is away', async (t) => {
  const url = await postgresUrl(t)
  await administer(`CREATE ROLE few LOGIN PASSWORD '${SECRET}' CONNECTION LIMIT 1`)
  const few = change(url, { username: 'few', password: SECRET })
  const db = await openNode(t, few, { DATABASE_POOL_SIZE: '2' })
  const answers = () => db.query('SELECT 1').then(Boolean, () => false)
  while (!(await answers())) await nextTurn() // the connection that tried whether it works may not be closed yet
  const [busy, refused] = await Promise.allSettled([db.query('SELECT pg_sleep(0.2)'), db.query('SELECT 1')])
  t.equal(busy.status, 'fulfilled', 'the connections that we have go on')
  t.match(refused, { reason: { code: 'store_unavailable', reason: /53300: too many connections/ } })
  t.equal((await db.query('SELECT 1 AS one')).length, 1, 'and later calls use them')
  t.match(await refusal(few), {
    message: /53300: too many connections/,
    hint: /no connection left.*DATABASE_POOL_SIZE/,
  })
})

t.test('any character may stand in a password, percent-encoded', async (t) => {
  const password = 'p@ss:w/ö?r#d %41'
  const url = await postgresUrl(t)
  await administer(`CREATE ROLE odd LOGIN PASSWORD '${password}'`)
  const db = await openNode(t, change(url, { username: 'odd', password: encodeURIComponent(password) }))
  t.same(await db.query('SELECT CAST(current_user AS TEXT) AS name'), [{ name: 'odd' }])
})

t.test('DATABASE_TLS: off is plain, require encrypts, verify also checks who answers', async (t) => {
  const url = await postgresUrl(t)
  const byName = change(url, { hostname: 'localhost' })
  const ca = { DATABASE_TLS: 'verify', DATABASE_CA_FILE: await certificateFile(t) }

  t.equal(await encrypted(url, {}, t), false)
  t.equal(await encrypted(url, { DATABASE_TLS: 'require' }, t), true)
  t.equal(await encrypted(byName, ca, t), true)
  t.match(await refusal(byName, { DATABASE_TLS: 'verify' }), {
    message: /self-signed certificate/,
    hint: /DATABASE_CA_FILE/,
  })
  t.equal(await encrypted(change(url, { hostname: '0.0.0.0' }), {}, t), true, 'the default for what is not local')
  t.match(await refusal(url, ca), { message: /altnames/, hint: /DATABASE_CA_FILE/ }, 'right authority, wrong name')
})

t.test('a server without TLS on another machine: the hint says what the two ways are', async (t) => {
  const plain = createServer((socket) => socket.on('data', () => socket.end('N'))) // its answer to SSLRequest
  t.teardown(() => plain.close())
  await once(plain.listen(0, '127.0.0.1'), 'listening')
  const { port } = plain.address() as AddressInfo
  t.match(await refusal(`postgres://signet:${SECRET}@0.0.0.0:${port}/signet`), {
    message: /does not support SSL/,
    hint: /switch its TLS on.*DATABASE_TLS=off/,
  })
})

t.test('a user who may not make tables is told what to grant, in two lines and without a stack', async (t) => {
  const url = await postgresUrl(t)
  await administer(`CREATE ROLE guest LOGIN PASSWORD '${SECRET}'`)
  const DATABASE_URL = change(url, { username: 'guest', password: SECRET })
  const { code, stderr } = await run(t, 'src/server.ts', [], { ...(await isolated(t)), DATABASE_URL }).finished
  t.equal(code, 1)
  t.match(
    stderr,
    /^signet: error: DATABASE_URL: this user may not .*42501: permission denied for schema public\nhint: GRANT CREATE, USAGE ON SCHEMA public .*\n$/,
  )
  t.notMatch(stderr, SECRET)

  await administer('GRANT CREATE, USAGE ON SCHEMA public TO guest', new URL(url).pathname.slice(1))
  const db = await openNode(t, DATABASE_URL)
  t.ok((await migrate(db, () => 1)).length > 0, 'that was all it needed')
})

t.test(
  'a server that is down at boot is an OperatorError, also when it goes away before the tables are made',
  async (t) => {
    const url = await postgresUrl(t)
    const db = await openNode(t, url)
    await stopPostgres()
    const error = await migrate(db, () => 1).catch((error) => error)
    t.ok(error instanceof OperatorError, error.stack)
    t.match(error, { message: /DATABASE_URL: .* now: ./, hint: /start again/ })
    t.notMatch(error.message, /\n/)
    t.match(await refusal(url), { message: /DATABASE_URL: .*ECONNREFUSED/, hint: /must run there/ })
  },
)
