import { spawnSync } from 'node:child_process'
import type { Comparison } from '../comparison.ts'
import type { Bench } from '../figure.ts'
import { getAgain, type HttpSide, httpSide } from '../http-side.ts'
import { LightLoad, type Source } from '../light-load.ts'
import { mintTokens, NEW_TOKENS } from '../mint.ts'
import { installPeers, type Peers } from '../peers.ts'
import { type BareReply, makeHome, replyOf, type Server, startBare, startSignet } from '../server-process.ts'

const CONNECTIONS = 32
const PATH = '/v1/me'

/** Signet compared with other ways to protect a route. Every one answers the same JSON, and gets the same request. */
export const peers: Comparison = {
  name: 'peers',
  title: 'GET /v1/me behind',
  unit: 'requests/s',
  better: 'more',
  onDemand: true,
  async prepare(bench, cleanup) {
    const installed = await installPeers(bench)
    const core = bench.cores?.server
    const home = await makeHome(bench)
    const signet = await startSignet(bench, home, { core })
    cleanup.use(signet.child)
    const { tokens, publicPem } = await mintTokens(bench, signet, home, 1)
    const headers = { authorization: `Bearer ${tokens[0]}` }
    const reply = await replyOf(signet, headers)
    const load = cleanup.use(new LightLoad({ core: bench.cores?.load }))

    const bare = await startBare(bench, reply, { core })
    cleanup.use(bare.child)
    const seen = getAgain(PATH, headers)
    // On a server of its own: the memory that thousands of tokens take and leave behind must not slow the side above.
    const fresh = await manyTokens(bench, cleanup)
    const sides: HttpSide[] = [
      { name: 'nothing (bare Fastify)', server: bare, source: seen },
      { name: 'Signet, token seen before', server: signet, source: seen, reach: 0.92 },
      { name: 'Signet, every token new', server: fresh.server, source: fresh.ring },
    ]
    // Peers without a cache do the same work for every token, and get new ones all the time, like Signet in the row for
    // new tokens.
    const others = [
      ['@fastify/jwt with a fixed key and its cache', 'fastify-jwt-cache.js', signet.origin, seen],
      ['@fastify/jwt with get-jwks', 'fastify-jwt.js', fresh.server.origin, fresh.ring],
      ['express-oauth2-jwt-bearer', 'express-oauth2-jwt-bearer.js', fresh.server.origin, fresh.ring],
    ] as const
    for (const [name, script, issuer, source] of others) {
      const server = await installed.start(script, { issuer, reply, publicPem }, core)
      cleanup.use(server.child)
      sides.push({ name, server, source })
    }
    const redis = hasRedis()
    if (redis) sides.push(await sessionSide(bench, cleanup, installed, reply))

    const versions = await installed.versions(
      'fastify',
      '@fastify/jwt',
      'get-jwks',
      'express',
      'express-oauth2-jwt-bearer',
      '@fastify/session',
      'connect-redis',
      'redis',
    )
    return {
      sides: sides.map((side) => httpSide(bench, load, CONNECTIONS, side)),
      notes: [
        versions,
        redis
          ? 'processor time of the session is without that of Redis'
          : 'left out: Fastify sessions, because redis-server is not installed',
      ],
    }
  },
}

const hasRedis = () => spawnSync('redis-server', ['--version']).status === 0

async function manyTokens(bench: Bench, cleanup: AsyncDisposableStack): Promise<{ server: Server; ring: Source }> {
  const home = await makeHome(bench)
  const server = await startSignet(bench, home, { core: bench.cores?.server })
  cleanup.use(server.child)
  const { file } = await mintTokens(bench, server, home, NEW_TOKENS)
  return { server, ring: { kind: 'ring', path: PATH, file, position: 0 } }
}

/** Redis runs on the core of the load generator: not on the server's core. */
async function sessionSide(
  bench: Bench,
  cleanup: AsyncDisposableStack,
  peers: Peers,
  reply: BareReply,
): Promise<HttpSide> {
  const redis = await peers.start('redis.js', {}, bench.cores?.load)
  cleanup.use(redis.child)
  const server = await peers.start(
    'fastify-session-redis.js',
    { reply, redisPort: Number(new URL(redis.origin).port) },
    bench.cores?.server,
  )
  cleanup.use(server.child)
  const login = await fetch(`${server.origin}/login`, { method: 'POST' })
  const cookie = login.headers
    .getSetCookie()
    .map((line) => line.split(';', 1)[0])
    .join('; ')
  return { name: 'Fastify session in Redis', server, source: getAgain(PATH, { cookie }) }
}
