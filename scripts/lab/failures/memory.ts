import { sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomId } from '../../../src/ids.ts'
import { readPrivateKey } from '../../../src/keys/private-keys.ts'
import { type Failure, Faults } from './failure.ts'
import { answersTo, dial, flood, rawPost } from './flood.ts'
import { type Env, type Node, newService, startNode, statusOf, terminate } from './node.ts'
import { me, people, postRefresh, type Tokens } from './people.ts'

/** Size of the JavaScript heap: less than one would give the smallest container. */
const HEAP_MIB = 192
/** Most resident memory: besides the heap there are Node itself, SQLite, sockets, and two hashes of 19 MiB. */
const MAX_RESIDENT_MIB = 640
const WAITERS = 1000
const QUEUE = 64
const LEAST_QUEUE = 16
/** How long we hold the write lock of the store. */
const LOCKED_MS = 3000

interface Filled {
  readonly node: Node
  /** A session whose refresh token may be spent. */
  readonly other: Tokens
  /** How much of each bound is filled: all of it, or a part in a short run. */
  readonly share: number
  readonly faults: Faults
}

/** Every bounded structure is filled to its bound and beyond, one after the other, in one server with a small heap. */
export const memoryFailure: Failure = {
  title: `every bounded structure filled, with a heap of ${HEAP_MIB} MiB`,
  async run(run) {
    const share = Math.min(1, run.times / 100)
    const faults = new Faults()
    const node = await startNode(
      await newService(run, {
        NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}`,
        TRUST_PROXY: '127.0.0.1',
        RATE_LIMIT_REFRESH: '1000',
        RATE_LIMIT_TOKEN: '1000',
        RATE_LIMIT_LOGIN: '100000',
        PASSWORD_QUEUE: String(queueOf(share)),
        FEED_MAX_WAITERS: String(Math.round(WAITERS * share)),
      }),
    )
    const [tokens, other] = (await people(node.origin, 'memory@example.com', 2)) as [Tokens, Tokens]
    const filled: Filled = { node, other, share, faults }
    const figures: string[] = [`${Math.round(node.child.residentMemory())} MiB at first`]
    for (const [name, fill] of STRUCTURES) {
      const said = await fill(filled)
      faults.expect(!node.child.ended, `${name}: the server is gone`)
      if (node.child.ended)
        return { figures: figures.join('; '), faults: [...faults.list(), node.child.failure().message] }
      const resident = Math.round(node.child.residentMemory())
      faults.expect(resident < MAX_RESIDENT_MIB, `${name}: ${resident} MiB`)
      figures.push(`${name} ${said}: ${resident} MiB`)
    }
    await sleep(500)
    faults.expect((await statusOf(`${node.origin}/health/ready`)) === 200, 'not ready in the end')
    faults.expect((await me(node.origin, tokens)).status === 200, 'a good token is refused in the end')
    faults.expect((await postRefresh(node.origin, tokens)).status === 200, 'a session was lost')
    const { code } = await terminate(node)
    faults.expect(code === 0, `exit code ${code}`)
    return { figures: figures.join('; '), faults: faults.list() }
  },
}

const STRUCTURES: readonly [name: string, fill: (filled: Filled) => Promise<string>][] = [
  ['verified tokens', fillVerifiedTokens],
  ['limits by network', fillLimits],
  ['password queue', fillPasswordQueue],
  ['store queue', fillStoreQueue],
  ['waiting for the feed', fillFeed],
  ['half bodies', fillBodies],
]

/**
 * The cache holds two generations of 10,000 tokens or 16 million characters. With the longest tokens the characters are
 * the limit.
 */
async function fillVerifiedTokens({ node, share, faults }: Filled): Promise<string> {
  const mint = await createMint(node.env)
  const count = Math.ceil(9000 * share)
  const get = () => `GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${mint()}\r\n\r\n`
  const statuses = await flood(node.origin, count, get)
  faults.expect(statuses.get('200') === count, `long tokens: ${told(statuses)}`)
  return `${count} of ${mint().length} characters`
}

/** More client networks than a table of limits remembers, for each table that a single request adds to. */
async function fillLimits({ node, share, faults }: Filled): Promise<string> {
  const count = Math.ceil(55_000 * share)
  const addresses = (index: number) => `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`
  for (const path of ['/v1/refresh', '/oauth/token', '/v1/login']) {
    const from = (index: number) => rawPost(path, '{}', `X-Forwarded-For: ${addresses(index)}\r\n`)
    const statuses = await flood(node.origin, count, from)
    const answered = [...statuses].filter(([status]) => /^4\d\d$/.test(status)).reduce((sum, [, n]) => sum + n, 0)
    faults.expect(answered === count, `${path} from ${count} networks: ${told(statuses)}`)
  }
  return `3 × ${count} networks`
}

const queueOf = (share: number) => Math.max(LEAST_QUEUE, Math.round(QUEUE * share))

async function fillPasswordQueue({ node, share, faults }: Filled): Promise<string> {
  const queue = queueOf(share)
  const body = JSON.stringify({ email: 'nobody@example.com', password: 'not the right one' })
  const answers = await Promise.all(
    Array.from({ length: 3 * queue }, async (_, index) => {
      const socket = await dial(node.origin)
      const from = `X-Forwarded-For: 10.9.0.${index}\r\n`
      const [status = ''] = await answersTo(socket, [rawPost('/v1/login', body, from)])
      socket.destroy()
      return status
    }),
  )
  const hashed = answers.filter((status) => status === '401').length
  const refused = answers.filter((status) => status === '503').length
  faults.expect(hashed + refused === answers.length, `logins: ${answers.length - hashed - refused} otherwise answered`)
  faults.expect(hashed >= queue && refused > 0, `${hashed} logins judged, ${refused} turned away`)
  return `${hashed} judged, ${refused} turned away`
}

/** Another process holds the write lock of the database: jobs pile up until there are too many. */
async function fillStoreQueue({ node, other: { refresh }, share, faults }: Filled): Promise<string> {
  const connections = Math.ceil(400 * share)
  const body = JSON.stringify({ refresh_token: refresh })
  const sockets = await Promise.all(Array.from({ length: connections }, () => dial(node.origin)))
  const holder = new DatabaseSync(String(node.env.DATABASE_URL).slice('sqlite:'.length), { timeout: 5000 })
  holder.exec('BEGIN IMMEDIATE')
  const from = (index: number) => `X-Forwarded-For: 10.${200 + (index >> 8)}.${index & 255}.1\r\n`
  const requests = sockets.map((socket, index) =>
    answersTo(socket, Array(30).fill(rawPost('/v1/refresh', body, from(index)))),
  )
  await sleep(LOCKED_MS)
  const health = await statusOf(`${node.origin}/health/live`)
  holder.exec('ROLLBACK')
  holder.close()
  const answers = (await Promise.all(requests)).flat()
  for (const socket of sockets) socket.destroy()
  const counts = (status: string) => answers.filter((one) => one === status).length
  faults.expect(health === 200, `health while the store is locked: ${health}`)
  faults.expect(counts('none') === 0, `${counts('none')} requests that waited for the store were not answered`)
  faults.expect(share < 1 || counts('503') > 0, 'the queue of the store has no bound')
  return `${answers.length} at once, ${counts('503')} turned away`
}

async function fillFeed({ node, share, faults }: Filled): Promise<string> {
  const feed = `${node.origin}/.well-known/revocations`
  const etag = (await fetch(feed)).headers.get('etag') ?? ''
  const count = Math.ceil(1.5 * WAITERS * share)
  let answered = 0
  const sockets = await Promise.all(Array.from({ length: count }, () => dial(node.origin)))
  const get = `GET /.well-known/revocations?wait=25 HTTP/1.1\r\nHost: x\r\nIf-None-Match: ${etag}\r\n\r\n`
  for (const socket of sockets) void answersTo(socket, [get]).then(([status]) => (answered += status === '304' ? 1 : 0))
  await sleep(2000)
  const most = Math.round(WAITERS * share)
  faults.expect(answered >= count - most, `${answered} of ${count} long polls were answered at once`)
  const waiting = count - answered
  for (const socket of sockets) socket.destroy()
  return `${waiting} wait, ${answered} answered at once`
}

async function fillBodies({ node, share }: Filled): Promise<string> {
  const sockets = await Promise.all(Array.from({ length: Math.ceil(2000 * share) }, () => dial(node.origin)))
  const text = rawPost('/v1/login', ' '.repeat(16_384)).slice(0, -1)
  await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.write(text, () => resolve()))))
  await sleep(500)
  for (const socket of sockets) setTimeout(() => socket.destroy(), 500)
  return `${sockets.length} of 16 KB`
}

/** Makes tokens with the server's own key, as long as the server accepts. */
async function createMint({ KEYS_DIR = '', ISSUER }: Env): Promise<() => string> {
  const { keys } = JSON.parse(await readFile(join(KEYS_DIR, 'keyring.json'), 'utf8'))
  const kid = String(keys[0].kid)
  const key = await readPrivateKey({ dir: KEYS_DIR, passphrase: undefined }, kid)
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const header = part({ alg: 'RS256', typ: 'at+jwt', kid })
  const iat = Math.floor(Date.now() / 1000)
  const claims = {
    iss: ISSUER,
    aud: ISSUER,
    sub: 'minted',
    client_id: 'signet',
    iat,
    exp: iat + 600,
    scope: 'x'.repeat(2048),
    padding: 'x'.repeat(350),
  }
  return () => {
    const input = `${header}.${part({ ...claims, jti: randomId() })}`
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`
  }
}

const told = (statuses: ReadonlyMap<string, number>) =>
  [...statuses].map(([status, n]) => `${n} × ${status}`).join(', ')
