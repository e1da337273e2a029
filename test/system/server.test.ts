import { once } from 'node:events'
import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import t from 'tap'
import { bearer, PASSWORD } from '../support/app.ts'
import { isolated, post, run, startServer } from '../support/process.ts'

const account = { email: 'ada@example.com', password: PASSWORD }

t.test('the first boot makes a key and a database, and a second boot keeps both', async (t) => {
  const first = await startServer(t)
  t.match(first.output(), 'made the first signing key')
  t.match(first.output(), /docs at http:\/\/127\.0\.0\.1:\d+\/docs/)
  t.equal((await post(`${first.url}/v1/accounts`, account)).status, 201)
  const { access_token } = (await (await post(`${first.url}/v1/login`, account)).json()) as { access_token: string }
  t.equal((await fetch(`${first.url}/v1/me`, { headers: bearer(access_token) })).status, 200)
  first.child.kill('SIGTERM')
  t.match(await first.finished, { code: 0 })

  const keys = await readdir(String(first.env.KEYS_DIR))
  const second = await startServer(t, { ...first.env, ISSUER: first.url })
  t.notMatch(second.output(), /made the first|migrated/)
  t.same(await readdir(String(first.env.KEYS_DIR)), keys)
  t.equal((await post(`${second.url}/v1/login`, account)).status, 200)
  t.equal(
    (await fetch(`${second.url}/v1/me`, { headers: bearer(access_token) })).status,
    200,
    'a token outlives the restart',
  )
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} lets a request in flight finish, and exits 0`, async (t) => {
    const server = await startServer(t)
    const answers = Promise.all(
      Array.from({ length: 8 }, () =>
        post(`${server.url}/v1/accounts`, { ...account, email: `${Math.random()}@b.co` }),
      ),
    )
    // The request line is on its way when the first bytes of a slow body are: a half-sent request proves that it is in flight.
    const { port } = new URL(server.url)
    const body = JSON.stringify(account)
    const socket = connect(Number(port), '127.0.0.1')
    socket.write(
      `POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
    )
    for (const answer of await answers) t.equal(answer.status, 201)

    server.child.kill(signal)
    await new Promise<void>((resolve) =>
      server.child.stdout?.on('data', () => /requests in flight/.test(server.output()) && resolve()),
    )
    const late = new Promise<string>((resolve) => socket.once('data', (chunk) => resolve(String(chunk))))
    socket.write(body.slice(5))
    t.match(await late, /^HTTP\/1\.1 401 /, 'it was judged, not dropped')
    t.match(await server.finished, { code: 0 })
    t.match(server.output(), '"msg":"closed"')
  })
}

t.test('a second signal exits at once', async (t) => {
  const server = await startServer(t)
  const { port } = new URL(server.url)
  const socket = connect(Number(port), '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write('POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{')
  t.equal((await fetch(`${server.url}/health/live`)).status, 200)
  server.child.kill('SIGTERM')
  await new Promise<void>((resolve) =>
    server.child.stdout?.on('data', () => /requests in flight/.test(server.output()) && resolve()),
  )
  server.child.kill('SIGTERM')
  t.match(await server.finished, { code: 1 })
})

t.test('PORT=0 takes a free port, and issuer and audience follow it', async (t) => {
  const server = await startServer(t)
  await post(`${server.url}/v1/accounts`, account)
  const { access_token } = (await (await post(`${server.url}/v1/login`, account)).json()) as { access_token: string }
  const claims = JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString())
  t.match(claims, { iss: server.url, aud: server.url })
})

/** Each refusal is one line that says what, where and what to do, exit code 1, and no stack trace. */
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
  ['no key in production', async () => ({ NODE_ENV: 'production' }), /no key in .*keys can sign/],
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
    const { code, stderr } = await run(t, 'src/server.ts', [], { ...env, ...(await prepare(env)) }).finished
    t.equal(code, 1)
    const [first = '', second = '', ...rest] = stderr.trimEnd().split('\n')
    t.match(first, line)
    t.match(first, /^signet: error: /)
    t.match(second, /^hint: /)
    t.same(rest, [])
  })
}

t.test('a port in use and an unreadable key: one line, a hint, exit 1', async (t) => {
  const server = await startServer(t)
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  const taken = await run(t, 'src/server.ts', [], { ...server.env, PORT: String(port) }).finished
  t.match(taken, {
    code: 1,
    stderr: new RegExp(`^signet: error: PORT: ${port} on 127.0.0.1 is in use\nhint: [^\n]+\n$`),
  })

  const dir = String(server.env.KEYS_DIR)
  const pem = (await readdir(dir)).find((name) => name.endsWith('.pem')) ?? ''
  await writeFile(join(dir, pem), 'garbage')
  const broken = await run(t, 'src/server.ts', [], server.env).finished
  t.match(broken, {
    code: 1,
    stderr: /^signet: error: keys: .*\.pem is not a private key that can be opened\nhint: [^\n]+\n$/,
  })
})

t.test('the database file is for its owner only', async (t) => {
  const server = await startServer(t)
  const path = String(server.env.DATABASE_URL).slice('sqlite:'.length)
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.equal((await stat(dirname(path))).mode & 0o077, 0)
})

t.test('with its database folder gone the server still verifies', async (t) => {
  const server = await startServer(t)
  await post(`${server.url}/v1/accounts`, account)
  const { access_token } = (await (await post(`${server.url}/v1/login`, account)).json()) as { access_token: string }
  const { rm } = await import('node:fs/promises')
  await rm(dirname(String(server.env.DATABASE_URL).slice('sqlite:'.length)), { recursive: true })
  t.equal((await fetch(`${server.url}/v1/me`, { headers: bearer(access_token) })).status, 200)
})

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
