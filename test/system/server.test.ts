import { once } from 'node:events'
import { chmod, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { PASSWORD } from '../support/app.ts'
import { runScript } from '../support/scripts.ts'
import {
  type Finished,
  getMe,
  isolated,
  login,
  partOf,
  post,
  postLogin,
  register,
  run,
  type ServerProcess,
  said,
  startServer,
} from '../support/service.ts'

const EMAIL = 'ada@example.com'
const databasePath = ({ DATABASE_URL }: Record<string, string>) => String(DATABASE_URL).slice('sqlite:'.length)

t.test('from the first boot to the third', async (t) => {
  const first = await startServer(t, await isolated(t)) // without keys

  await t.test('the first boot makes a key and a database for their owner only, on a port that is free', async (t) => {
    t.match(first.output(), 'made the first signing key')
    t.match(first.output(), /docs at http:\/\/127\.0\.0\.1:\d+\/docs/)
    const path = databasePath(first.env)
    t.equal((await stat(path)).mode & 0o777, 0o600)
    t.equal((await stat(dirname(path))).mode & 0o077, 0)
  })

  await register(first, EMAIL)
  const tokens = await login(first, EMAIL)
  t.match(partOf(tokens.access, 1), { iss: first.url, aud: first.url }, 'issuer and audience follow PORT=0')
  t.equal((await getMe(first, tokens)).status, 200)
  await endsInOrder(t, first, 'SIGINT')

  const keys = await readdir(String(first.env.KEYS_DIR))
  const second = await startServer(t, { ...first.env, ISSUER: first.url })
  await t.test('a second boot keeps both', async (t) => {
    t.notMatch(second.output(), /made the first|migrated/)
    t.same(await readdir(String(first.env.KEYS_DIR)), keys)
    t.equal((await postLogin(second, EMAIL)).status, 200)
    t.equal((await getMe(second, tokens)).status, 200, 'a token outlives the restart')
  })
  await endsInOrder(t, second, 'SIGTERM')

  const third = await startServer(t, { ...first.env, ISSUER: first.url })
  await t.test('a port in use, no issuer in production and an unreadable key: one line, a hint, exit 1', async (t) => {
    const other = createServer().listen(0, '127.0.0.1')
    t.teardown(() => other.close())
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    const taken = await run(t, 'src/server.ts', [], { ...third.env, PORT: String(port) }).finished
    refuses(t, taken, new RegExp(`PORT: ${port} on 127.0.0.1 is in use$`))

    const { ISSUER: _, ...unnamed } = third.env
    const anonymous = await run(t, 'src/server.ts', [], { ...unnamed, NODE_ENV: 'production', PORT: String(port) })
      .finished
    refuses(t, anonymous, /settings: ISSUER is not set: NODE_ENV=production/)

    const pem = keys.find((name) => name.endsWith('.pem')) ?? ''
    await writeFile(join(String(third.env.KEYS_DIR), pem), 'garbage')
    const broken = await runScript('src/server.ts', [], third.env)
    refuses(t, broken, /keys: .*\.pem is not a private key that can be opened$/)
  })
  await t.test('with its database folder gone the server still verifies', async (t) => {
    await rm(dirname(databasePath(third.env)), { recursive: true })
    t.equal((await getMe(third, tokens)).status, 200)
  })
  await t.test('a second signal exits at once', async (t) => {
    await halfSent(third, '{', 10)
    t.equal((await fetch(`${third.url}/health/live`)).status, 200)
    third.child.kill('SIGTERM')
    await said(third, 'requests in flight')
    third.child.kill('SIGTERM')
    t.match(await third.finished, { code: 1 })
  })
})

/** A login whose body is still to come. */
async function halfSent({ url }: ServerProcess, sent: string, length: number): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  const head = `POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`
  socket.write(head + sent)
  return socket
}

async function endsInOrder(t: Test, server: ServerProcess, signal: NodeJS.Signals): Promise<void> {
  await t.test(`${signal} lets a request in flight finish, and exits 0`, async (t) => {
    const registration = () => post(`${server.url}/v1/accounts`, { email: `${Math.random()}@b.co`, password: PASSWORD })
    const answers = Promise.all(Array.from({ length: 8 }, registration))
    // The request line is on its way when the first bytes of a slow body are: a half-sent request proves that it is
    // in flight.
    const body = JSON.stringify({ email: 'nobody@example.com', password: PASSWORD })
    const socket = await halfSent(server, body.slice(0, 5), body.length)
    for (const answer of await answers) t.equal(answer.status, 201)

    server.child.kill(signal)
    await said(server, 'requests in flight')
    const late = once(socket, 'data').then(([chunk]) => String(chunk))
    socket.write(body.slice(5))
    t.match(await late, /^HTTP\/1\.1 401 /, 'it was judged, not dropped')
    t.match(await server.finished, { code: 0 })
    t.match(server.output(), '"msg":"closed"')
  })
}

/** Each refusal is one line that says what, where and what to do, exit code 1, and no stack trace. */
function refuses(t: Test, { code, stderr }: Finished, line: RegExp): void {
  t.equal(code, 1)
  const [first = '', second = '', ...rest] = stderr.trimEnd().split('\n')
  t.match(first, line)
  t.match(first, /^signet: error: /)
  t.match(second, /^hint: /)
  t.same(rest, [])
}

const REFUSALS: [
  name: string,
  prepare: (env: Record<string, string>) => Promise<Record<string, string>>,
  line: RegExp,
][] = [
  [
    'bad settings, all at once',
    async () => ({ CLOCK_SKEW: '-1', LOG_LEVEL: 'loud' }),
    /settings: CLOCK_SKEW.*LOG_LEVEL/,
  ],
  ['texts that are not there', async () => ({ MAIL_TEXTS: '/nowhere' }), /MAIL_TEXTS: can't list the folder \/nowhere/],
  ['no issuer in production', async () => ({ NODE_ENV: 'production' }), /settings: ISSUER is not set: .*production/],
  [
    'no key in production',
    async () => ({ NODE_ENV: 'production', ISSUER: 'https://auth.example.com' }),
    /no key in .*keys can sign/,
  ],
  ['a keyring that is broken', withFile('keyring.json', '{'), /keyring\.json is not valid JSON/],
  [
    'a passphrase file that is not there',
    async () => ({ KEY_PASSPHRASE_FILE: '/nonexistent/passphrase' }),
    /KEY_PASSPHRASE_FILE: can't read/,
  ],
  [
    'a database in an impossible place',
    async () => ({ DATABASE_URL: 'sqlite:/dev/null/x/signet.db' }),
    /DATABASE_URL: can't open/,
  ],
  ['a database that is none', withDatabase, /DATABASE_URL: can't open .*not a database/],
  ['a host that is not ours', async () => ({ HOST: '192.0.2.1', PORT: '4711' }), /can't listen on 192\.0\.2\.1/],
]
for (const [name, prepare, line] of REFUSALS) {
  t.test(`${name}: one line, a hint, exit 1`, async (t) => {
    const env = await isolated(t)
    refuses(t, await runScript('src/server.ts', [], { ...env, ...(await prepare(env)) }), line)
  })
}

function withFile(name: string, text: string) {
  return async (env: Record<string, string>) => {
    await mkdir(String(env.KEYS_DIR), { recursive: true })
    await writeFile(join(String(env.KEYS_DIR), name), text)
    return {}
  }
}

async function withDatabase(env: Record<string, string>) {
  const path = String(env.DATABASE_URL).slice('sqlite:'.length)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, 'this is a text file and not a database at all, however long it is\n'.repeat(20))
  await chmod(path, 0o600)
  return {}
}
