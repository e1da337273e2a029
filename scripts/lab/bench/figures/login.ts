import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import argon2 from 'argon2'
import { logIn, register } from '../client.ts'
import type { Figure } from '../figure.ts'
import { LoadProcess } from '../load-process.ts'
import { makeHome, startSignet } from '../server-process.ts'
import { perSecond } from '../throughput.ts'

/** Fewer than PASSWORD_QUEUE allows to wait, so that no login is refused. */
const CONNECTIONS = 32

/**
 * Signet's defaults, deliberately not read from its settings: if Signet used cheaper hashes, it must show as a better
 * ratio and not be hidden by it.
 */
const COST = { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** Password logins over HTTP, compared with only the hashes that they need. Unpinned: hashing uses every core. */
export const login: Figure = {
  name: 'login',
  title: 'POST /v1/login',
  unit: 'logins/s',
  limit: 'argon2id of this machine',
  better: 'more',
  reach: { ratio: 0.95 },
  async prepare(bench, cleanup) {
    const { child, origin } = await startSignet(bench, await makeHome(bench))
    cleanup.use(child)
    const credentials = await register(origin)
    const load = cleanup.use(new LoadProcess())
    const password = randomBytes(18).toString('base64url')

    return {
      async signet() {
        const { rate } = await load.run({
          url: `${origin}/v1/login`,
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(credentials),
          connections: CONNECTIONS,
          seconds: bench.seconds,
        })
        // Logins that were cut off at the end of the round are still hashed. The queue is fair: when this login is
        // answered, they are done.
        await logIn(origin, credentials)
        return rate
      },
      limit: () => perSecond(() => argon2.hash(password, COST), availableParallelism(), bench.seconds),
    }
  },
}
