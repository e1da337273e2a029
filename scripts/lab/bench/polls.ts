import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { CompactSign } from 'jose'
import { systemClock } from '../../../src/clock.ts'
import { publicJwk } from '../../../src/keys/jwk.ts'
import { generatePrivateKey } from '../../../src/keys/private-keys.ts'

// What stays of a poll in the memory of a service that follows the revocation feed: the package as it is published, a
// server on localhost that answers at once, no pause, a forced garbage collection before each measurement.

const USAGE = `usage: npm run bench:polls -- [--polls 100000] [path of another node …]

Bytes of heap that stay of each poll of the verifier package. Builds the package in dist/. Takes a minute or two for
each version of Node.`
/** Growth that is no noise: the same measurement of AbortSignal.any() gave 74 and 174. */
const MOST_BYTES = 10

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const FOLLOWER = fileURLToPath(new URL('./polling-follower.js', import.meta.url))

const args = process.argv.slice(2)
const named = args.indexOf('--polls')
const polls = named < 0 ? 100_000 : Number(args.splice(named, 2)[1])
if (!(polls >= 1000) || args.some((arg) => arg.startsWith('-'))) {
  process.stderr.write(`${USAGE}\n`)
  process.exit(args.includes('--help') || args.includes('-h') ? 0 : 1)
}

await promisify(execFile)('npm', ['run', '--silent', 'package'], { cwd: ROOT })
const server = await feedServer()
for (const node of [process.execPath, ...args]) {
  const { version, marks } = await measure(node)
  const [, second, last] = marks
  if (second === undefined || last === undefined) throw new Error(`${node} ended too early`)
  const each = (last.bytes - second.bytes) / (last.polls - second.polls)
  const heaps = marks.map(({ polls, bytes }) => `${(bytes / 1e6).toFixed(2)} MB after ${polls}`).join(', ')
  process.stdout.write(`${version}: ${each.toFixed(2)} bytes a poll stay (${heaps})\n`)
  if (each > MOST_BYTES) process.exitCode = 1
}
server.close()
server.closeAllConnections()

async function measure(node: string): Promise<{ version: string; marks: { polls: number; bytes: number }[] }> {
  const { stdout: version } = await promisify(execFile)(node, ['--version'])
  const entry = `${ROOT}dist/signet-verifier/esm/verifier/index.js`
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const child = spawn(node, ['--expose-gc', FOLLOWER, entry, issuer, String(polls)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  process.once('exit', () => child.kill())
  const closed = once(child, 'close')
  const marks = []
  for await (const line of createInterface(child.stdout)) marks.push(JSON.parse(line))
  await closed
  return { version: version.trim(), marks }
}

/** Answers one poll of a hundred with a new feed of a thousand revocations, and the rest with 304, each at once. */
async function feedServer(): Promise<Server> {
  const key = await generatePrivateKey(2048)
  const jwk = publicJwk(key)
  const iat = systemClock()
  const sessions = Array.from({ length: 1000 }, (_, n) => `session-${n}`.padEnd(22, 'x'))
  const rest = { sessions, accounts: {}, clients: {}, tokens: [], keys: [] }
  const server = createServer(async ({ url = '', headers }, reply) => {
    if (url.includes('jwks')) return reply.end(JSON.stringify({ keys: [jwk] }))
    count += 1
    if (count % 100 !== 1 && headers['if-none-match'] !== undefined) return reply.writeHead(304).end()
    const { port } = server.address() as AddressInfo
    const claims = { iss: `http://127.0.0.1:${port}`, iat, exp: iat + 3600, seq: count, ...rest }
    const feed = await new CompactSign(Buffer.from(JSON.stringify(claims)))
      .setProtectedHeader({ alg: 'RS256', typ: 'revocations+jwt', kid: jwk.kid })
      .sign(key)
    return reply.setHeader('etag', `"${count}"`).end(feed)
  })
  let count = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
