import { logIn, register } from '../client.ts'
import type { Bench, Contest, Figure } from '../figure.ts'
import type { Content } from '../full-store.ts'
import { LoadProcess } from '../load-process.ts'
import { requestContest } from '../request-contest.ts'
import { filledHome } from '../revoking.ts'
import { makeHome, startSignet } from '../server-process.ts'

const MILLION = 1_000_000
const CONNECTIONS = 32

/** A verified request with a million revoked sessions, compared with none. */
export const revoked = filledFigure('revoked', 'GET /v1/me, 1,000,000 revocations', { revocations: MILLION })

/** The same in a store that also holds a million accounts with a session each. */
export const full: Figure = {
  ...filledFigure('full', 'the same, with 1,000,000 accounts and sessions', {
    revocations: MILLION,
    accounts: MILLION,
  }),
  onDemand: true,
}

function filledFigure(name: string, title: string, content: Content): Figure {
  return {
    name,
    title,
    unit: 'requests/s',
    limit: 'Signet with none',
    better: 'more',
    reach: { ratio: 0.95 },
    prepare: (bench, cleanup) => prepare(bench, cleanup, content),
  }
}

async function prepare(bench: Bench, cleanup: AsyncDisposableStack, content: Content): Promise<Contest> {
  const pinned = { core: bench.cores?.server }
  const full = await startSignet(bench, await filledHome(bench, content), pinned)
  cleanup.use(full.child)
  const empty = await startSignet(bench, await makeHome(bench), pinned)
  cleanup.use(empty.child)
  const load = cleanup.use(new LoadProcess(bench.cores?.load))

  const tokens = new Map<string, string>()
  for (const { origin } of [full, empty]) {
    const { access_token } = await logIn(origin, await register(origin))
    tokens.set(origin, access_token)
  }
  const contest = requestContest({ signet: full, bare: empty }, ({ origin }) =>
    load.run({
      url: `${origin}/v1/me`,
      method: 'GET',
      headers: { authorization: `Bearer ${tokens.get(origin)}` },
      connections: CONNECTIONS,
      seconds: bench.seconds,
    }),
  )
  const [memory, without] = [full, empty].map(({ child }) => child.residentMemory())
  const more = (memory ?? 0) - (without ?? 0)
  return {
    ...contest,
    notes: () => [
      ...(contest.notes?.() ?? []),
      `${Math.round(memory ?? 0)} MB of memory instead of ${Math.round(without ?? 0)}, ` +
        `${Math.round((more * 1e6) / content.revocations)} bytes a revocation; ` +
        `boot took ${Math.round(full.bootTime)} ms instead of ${Math.round(empty.bootTime)}`,
    ],
  }
}
