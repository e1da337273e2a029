import { logIn, register } from '../client.ts'
import type { Figure } from '../figure.ts'
import { LightLoad } from '../light-load.ts'
import { makeHome, startSignet } from '../server-process.ts'
import { ISSUE_CONNECTIONS, signingContest } from '../signing-contest.ts'

/** Fewer than MAX_SESSIONS_PER_ACCOUNT, so that no login ends the session of another connection. */
const SESSIONS_PER_ACCOUNT = 16

/**
 * Refreshes on one node and all cores. Each connection has a session of its own, and sends the refresh token of its
 * last answer.
 */
export const refresh: Figure = {
  name: 'refresh',
  title: 'POST /v1/refresh',
  unit: 'refreshes/s',
  limit: 'RSA-2048 of this machine',
  better: 'more',
  reach: { ratio: 0.85 },
  async prepare(bench, cleanup) {
    const server = await startSignet(bench, await makeHome(bench))
    cleanup.use(server.child)
    const load = cleanup.use(new LightLoad())
    const tokens: string[] = []
    while (tokens.length < ISSUE_CONNECTIONS) {
      const credentials = await register(server.origin, `bench-${tokens.length}@example.com`)
      const sessions = Array.from({ length: SESSIONS_PER_ACCOUNT }, () => logIn(server.origin, credentials))
      tokens.push(...(await Promise.all(sessions)).map(({ refresh_token }) => refresh_token))
    }
    return signingContest(bench, { server, load, source: { kind: 'refresh', tokens } })
  },
}
