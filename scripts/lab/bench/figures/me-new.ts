import { call } from '../client.ts'
import type { Figure } from '../figure.ts'
import { LightLoad, type Source } from '../light-load.ts'
import { mintTokens, NEW_TOKENS } from '../mint.ts'
import { requestContest } from '../request-contest.ts'
import { makeHome, replyOf, type Server, startBare, startSignet } from '../server-process.ts'

const CONNECTIONS = 32

/**
 * A verified request with a token that is not in the server's cache, compared with the one `crypto.verify` that no
 * server can avoid.
 */
export const meNew: Figure = {
  name: 'me-new',
  title: 'GET /v1/me, every token new',
  unit: 'requests/s',
  limit: 'bare Fastify with one crypto.verify',
  better: 'more',
  reach: { ratio: 0.9 },
  async prepare(bench, cleanup) {
    const { cores, seconds } = bench
    const pinned = { core: cores?.server }
    const home = await makeHome(bench)
    const signet = await startSignet(bench, home, pinned)
    cleanup.use(signet.child)
    const { tokens, file, publicPem } = await mintTokens(bench, signet, home, NEW_TOKENS)
    const reply = await replyOf(signet, { authorization: `Bearer ${tokens[0]}` })
    const bare = await startBare(bench, { ...reply, publicPem }, pinned)
    cleanup.use(bare.child)
    // The bare server is a fair comparison only if it really verifies the signature.
    const forged = { headers: { authorization: `Bearer ${tokens[0]?.slice(0, -9)}AAAAAAAAA` } }
    await call(`${bare.origin}/v1/me`, forged).then(
      () => Promise.reject(new Error('the bare server takes a forged token')),
      () => undefined,
    )

    const load = cleanup.use(new LightLoad({ core: cores?.load }))
    const rings = new Map<Server, Source>()
    return requestContest({ signet, bare }, async (server) => {
      const source = rings.get(server) ?? { kind: 'ring', path: '/v1/me', file, position: 0 }
      const result = await load.run({ origin: server.origin, source, connections: CONNECTIONS, seconds })
      rings.set(server, result.source)
      return result
    })
  },
}
