import { setTimeout as sleep } from 'node:timers/promises'
import { logIn, register } from '../client.ts'
import type { Figure } from '../figure.ts'
import { LightLoad, type Source } from '../light-load.ts'
import { makeHome, startSignet } from '../server-process.ts'
import { summarise } from '../statistics.ts'

/** A modest rate, far below what one core can do. */
const REQUESTS_PER_SECOND = 500
const CONNECTIONS = 50

/** As many as PASSWORD_QUEUE allows to wait, so that the queue is full and no login is refused. */
const LOGINS = 64

/** Time for the queue to fill, and for the first logins to be done. */
const FILLING_MS = 250

/**
 * How long a verified request takes while logins wait for hashing: hashing uses every core, and must not slow verified
 * requests down. Unpinned, as a server runs. The load generator has priority where the system allows it, so that its
 * own waiting is not counted.
 */
export const meUnderLogin: Figure = {
  name: 'me-under-login',
  title: 'p99 of GET /v1/me while logins queue',
  unit: 'ms',
  limit: 'the same without logins',
  better: 'less',
  reach: { ratio: 2 },
  async prepare(bench, cleanup) {
    const { origin, child } = await startSignet(bench, await makeHome(bench))
    cleanup.use(child)
    const credentials = await register(origin)
    // The reader has an account of its own: so many logins end the older sessions of their account.
    const { access_token } = await logIn(origin, await register(origin, 'reader@example.com'))
    const load = cleanup.use(new LightLoad({ urgent: true }))
    const logins = cleanup.use(new LightLoad())
    const seconds = Math.max(bench.seconds, 2) // a p99 of fewer requests would mean little

    const percentiles = { with: [] as Percentiles[], without: [] as Percentiles[] }
    const measured = async (kind: keyof typeof percentiles) => {
      const { latencies } = await load.run({
        origin,
        source: me(access_token),
        connections: CONNECTIONS,
        seconds,
        pace: REQUESTS_PER_SECOND,
      })
      const found = percentilesOf(latencies)
      percentiles[kind].push(found)
      return found.p99
    }
    let rate = 0
    return {
      async signet() {
        // The logins go on longer than the measurement, and the round ends when the last login is answered: nothing is
        // left over for the other side.
        const [storm, p99] = await Promise.all([
          logins.run({ origin, source: login(credentials), connections: LOGINS, seconds: seconds + 1 }),
          sleep(FILLING_MS).then(() => measured('with')),
        ])
        rate = storm.rate
        return p99
      },
      limit: () => measured('without'),
      notes: () => [
        `p50 / p99 / slowest in ms, at ${REQUESTS_PER_SECOND} requests/s: ${shown(percentiles.with)} ` +
          `beside ${LOGINS} connections that log in (${rate.toFixed(0)}/s), ${shown(percentiles.without)} without`,
      ],
    }
  },
}

interface Percentiles {
  readonly p50: number
  readonly p99: number
  readonly slowest: number
}

function percentilesOf(latencies: readonly number[]): Percentiles {
  const sorted = [...latencies].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), slowest: at(1) }
}

/** The first round is dropped, as in measure(). */
function shown(rounds: readonly Percentiles[]): string {
  const medians = (['p50', 'p99', 'slowest'] as const).map((name) => summarise(rounds.slice(1).map((one) => one[name])))
  return medians.map(({ median }) => median.toFixed(2)).join(' / ')
}

function me(token: string): Source {
  return { kind: 'same', request: { method: 'GET', path: '/v1/me', headers: { authorization: `Bearer ${token}` } } }
}

function login(credentials: object): Source {
  const headers = { 'content-type': 'application/json' }
  return { kind: 'same', request: { method: 'POST', path: '/v1/login', headers, body: JSON.stringify(credentials) } }
}
