import { setTimeout as sleep } from 'node:timers/promises'
import { startBalancer } from './balancer.ts'
import { type Failure, Faults } from './failure.ts'
import { EMAIL, startLoad, told } from './load.ts'
import { beside, type Env, newService, startNode, terminate } from './node.ts'
import { people } from './people.ts'

const SESSIONS = 12
/** Seconds between "not ready" and the end of listening: the balancer checks ten times in between. */
const SHUTDOWN_DELAY = '1'

/** Two nodes behind a load balancer are restarted, one after the other, and no client notices. */
export const rollingFailure: Failure = {
  title: 'a rolling restart of two nodes on PostgreSQL, behind a load balancer, under load',
  async run(run) {
    const faults = new Faults()
    const { create } = await run.postgres()
    const settings = { DATABASE_URL: await create(), MAX_SESSIONS_PER_ACCOUNT: '1000', SHUTDOWN_DELAY }
    const env = await newService(run, settings)
    const services: Env[] = [env, await beside(env)]
    const nodes = [await startNode(services[0] as Env), await startNode(services[1] as Env)]
    const balancer = await startBalancer(nodes.map(({ origin }) => origin))
    const sessions = await people(balancer.origin, EMAIL, SESSIONS)
    const load = startLoad({ origin: () => balancer.origin, sessions, pause: run.pause ?? 5 })

    const rounds = Math.min(run.times, Math.max(1, Math.round(run.seconds / 10)))
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, service] of services.entries()) {
        const { code } = await terminate(nodes[index] as (typeof nodes)[0])
        faults.expect(code === 0, `exit code ${code}`)
        nodes[index] = await startNode(service)
        while (balancer.healthy() < services.length) await sleep(20)
      }
    }
    await load.stop()
    balancer.close()
    for (const node of nodes) await terminate(node)
    for (const [name, count] of load.other) faults.add(`${count} × ${name}`)
    faults.expect(load.good.verified > 100 && load.good.refreshed > 30 && load.good.loggedIn > 0, 'there was no load')
    return { figures: `${2 * rounds} restarts, ${told(load)}`, faults: faults.list() }
  },
}
