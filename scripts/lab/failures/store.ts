import { setTimeout as sleep } from 'node:timers/promises'
import { type Failure, Faults } from './failure.ts'
import { EMAIL, startLoad, told } from './load.ts'
import { newService, startNode, statusOf, terminate } from './node.ts'
import { pairOf, people, postLogin, postRefresh } from './people.ts'

const SESSIONS = 10
/** Everything must work again within this time after the store is back. */
const TIMEOUT_MS = 5000

/** PostgreSQL is stopped for a while, under load. */
export const storeFailure: Failure = {
  title: 'PostgreSQL is gone for a while and comes back, under load',
  async run(run) {
    const faults = new Faults()
    const postgres = await run.postgres()
    const settings = { DATABASE_URL: await postgres.create(), MAX_SESSIONS_PER_ACCOUNT: '1000' }
    const node = await startNode(await newService(run, settings))
    const { origin } = node
    const load = startLoad({ origin: () => origin, sessions: await people(origin, EMAIL, SESSIONS) })
    await sleep(500)

    await postgres.stop()
    const before = { ...load.good }
    await sleep(run.seconds * 1000)
    const during = load.good.verified - before.verified
    faults.expect(during > 10 * run.seconds, `only ${during} verified requests without the store`)
    faults.expect((await statusOf(`${origin}/health/ready`)) === 503, 'ready without a store')
    await postgres.start()

    const began = performance.now()
    while (pairOf(await postLogin(origin, EMAIL)) === undefined && performance.now() - began < TIMEOUT_MS)
      await sleep(20)
    const healed = performance.now() - began
    faults.expect(healed < TIMEOUT_MS, `not healed within ${TIMEOUT_MS} ms`)
    await load.stop()
    faults.expect((await statusOf(`${origin}/health/ready`)) === 200, 'not ready with the store back')
    for (const [name, count] of load.other)
      if (!/^(refreshed|loggedIn): 503 store_unavailable$/.test(name)) faults.add(`${count} × ${name}`)
    faults.expect(load.withoutRetryAfter === 0, `${load.withoutRetryAfter} answers 503 without Retry-After`)
    for (const { tokens } of load.clients)
      faults.expect((await postRefresh(origin, tokens)).status === 200, 'a session was lost')
    const { code } = await terminate(node)
    faults.expect(code === 0, `exit code ${code}`)
    return {
      figures: `gone for ${run.seconds} s: ${told(load)}; healed after ${Math.round(healed)} ms`,
      faults: faults.list(),
    }
  },
}
