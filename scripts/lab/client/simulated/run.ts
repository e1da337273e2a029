import { Faults } from '../../failures/failure.ts'
import { createStage } from '../../fuzz/stage.ts'
import { Device } from './device.ts'
import { randomFrom } from './random.ts'
import { round, type World } from './round.ts'
import { startService } from './service.ts'
import { SimulatedTime } from './time.ts'

/** Rounds between two changes of the keys, or of the server that answers: these are slow. */
const ROUNDS_PER_CHANGE = 12

export interface Simulated {
  /** That the server did. */
  readonly refreshes: number
  readonly rounds: number
  readonly hours: number
  readonly tally: ReadonlyMap<string, number>
  readonly faults: readonly string[]
}

/**
 * Many devices against the app of production in this process, until the server has done so many refreshes.
 *
 * @param report called after each round
 */
export async function simulate(
  { refreshes, devices, seed }: { refreshes: number; devices: number; seed: number },
  report: (refreshes: number) => void = () => undefined,
): Promise<Simulated> {
  const stage = createStage()
  try {
    const time = new SimulatedTime()
    const random = randomFrom(seed)
    const service = await startService(stage, time)
    const world: World = { service, time, random, devices: [], faults: new Faults(), tally: new Map() }
    for (let index = 0; index < devices; index += 1) {
      const device = new Device(index % 3 === 2 ? 'body' : 'cookie', world, await service.newAccount())
      for (let tabs = 1 + random.below(4); tabs > 0; tabs -= 1) device.open()
      await time.outside(device.login())
      ;(world.devices as Device[]).push(device)
    }
    const began = time.ms
    const done = () => world.devices.reduce((sum, { network }) => sum + network.acted, 0)
    let rounds = 0
    for (; done() < refreshes; rounds += 1) {
      if (rounds % ROUNDS_PER_CHANGE === ROUNDS_PER_CHANGE - 1) await change(world, rounds)
      await round(world)
      report(done())
    }
    const hours = Math.round((time.ms - began) / 3_600_000)
    return { refreshes: done(), rounds, hours, tally: world.tally, faults: world.faults.list() }
  } finally {
    await stage.end()
  }
}

async function change({ service, tally }: World, rounds: number): Promise<void> {
  const changes = { 'key rotated': service.rotateKey, 'key revoked': service.revokeKey, 'other server': service.fail }
  const all = Object.entries(changes)
  const [name, make] = all[Math.floor(rounds / ROUNDS_PER_CHANGE) % all.length] as (typeof all)[number]
  await make()
  tally.set(name, (tally.get(name) ?? 0) + 1)
}
