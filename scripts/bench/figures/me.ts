import { call, login, register } from '../client.ts'
import type { Figure } from '../figure.ts'
import { LoadProcess } from '../load-process.ts'
import { requestContest } from '../request-contest.ts'
import { type BareReply, makeHome, type Server, startBare, startSignet } from '../server-process.ts'

const CONNECTIONS = 32

/** A verified request: `GET /v1/me` with one token, again and again. */
export const me: Figure = {
  name: 'me',
  title: 'GET /v1/me, one token',
  unit: 'requests/s',
  limit: 'bare Fastify',
  better: 'more',
  async prepare(bench, cleanup) {
    const { cores, seconds } = bench
    const pinned = { core: cores?.server }
    const signet = await startSignet(bench, await makeHome(bench), pinned)
    cleanup.use(signet.child)
    const token = await login(signet.origin, await register(signet.origin))
    // Both servers get the same headers: reading them is the framework's work.
    const headers = { authorization: `Bearer ${token}` }

    const reply = await replyOf(signet, headers)
    const bare = await startBare(bench, reply, pinned)
    cleanup.use(bare.child)
    const load = cleanup.use(new LoadProcess(cores?.load))

    return requestContest(load, { signet, bare }, ({ origin }) => ({
      url: `${origin}/v1/me`,
      method: 'GET',
      headers,
      connections: CONNECTIONS,
      seconds,
      expectBody: reply.body,
    }))
  },
}

/** What the bare server has to answer: the very body of Signet, with the schema that Signet says it uses. */
async function replyOf({ origin }: Server, headers: Record<string, string>): Promise<BareReply> {
  const { paths, components } = JSON.parse(await call(`${origin}/openapi.json`))
  const { schema } = paths['/v1/me'].get.responses['200'].content['application/json']
  const name = schema.$ref?.split('/').at(-1)
  return { body: await call(`${origin}/v1/me`, { headers }), schema: components?.schemas?.[name] ?? schema }
}
