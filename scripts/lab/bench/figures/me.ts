import { logIn, register } from '../client.ts'
import type { Figure } from '../figure.ts'
import { LoadProcess } from '../load-process.ts'
import { requestContest } from '../request-contest.ts'
import { makeHome, replyOf, startBare, startSignet } from '../server-process.ts'

const CONNECTIONS = 32

/** A verified request: `GET /v1/me` with one token, again and again. */
export const me: Figure = {
  name: 'me',
  title: 'GET /v1/me, one token',
  unit: 'requests/s',
  limit: 'bare Fastify',
  better: 'more',
  reach: { ratio: 0.92 },
  async prepare(bench, cleanup) {
    const { cores, seconds } = bench
    const pinned = { core: cores?.server }
    const signet = await startSignet(bench, await makeHome(bench), pinned)
    cleanup.use(signet.child)
    const { access_token: token } = await logIn(signet.origin, await register(signet.origin))
    // Both servers get the same headers: reading them is the framework's work.
    const headers = { authorization: `Bearer ${token}` }

    const reply = await replyOf(signet, headers)
    const bare = await startBare(bench, reply, pinned)
    cleanup.use(bare.child)
    const load = cleanup.use(new LoadProcess(cores?.load))

    return requestContest({ signet, bare }, ({ origin }) =>
      load.run({
        url: `${origin}/v1/me`,
        method: 'GET',
        headers,
        connections: CONNECTIONS,
        seconds,
        expectBody: reply.body,
      }),
    )
  },
}
