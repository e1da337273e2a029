import fc from 'fast-check'
import type { Database } from '../../../src/db/database.ts'
import { newOwner, onTheMove, throughFailovers } from './honest-owner.ts'
import { OneSession } from './one-session.ts'
import { elsewhere, lockStepEnds, rounds, steps, thiefIsFound } from './thief.ts'

/** The promises about refresh tokens, each as a property of any history on this store. */
export function refreshModel(database: Database): [promise: string, property: fc.IAsyncProperty<unknown>][] {
  const service = () => OneSession.create(database)
  const both = fc.constantFrom(['owner', 'thief'] as const, ['thief', 'owner'] as const)
  const alone = (commands: typeof onTheMove) =>
    fc.asyncProperty(commands, (given) =>
      fc.asyncModelRun(async () => {
        const real = await service()
        return { model: newOwner(real.first), real }
      }, given as never),
    )
  return [
    ['an honest owner alone is never refused, whatever is lost, late or overtaken', alone(onTheMove)],
    ['an honest owner alone is never refused when the store goes back', alone(throughFailovers)],
    [
      'a thief who used a stolen token: when both have refreshed once more, nobody holds anything',
      fc.asyncProperty(steps, both, async (history, last) => thiefIsFound(await service(), history, last)),
    ],
    [
      'who takes turns with the owner within the grace is found after a few rotations',
      fc.asyncProperty(rounds, elsewhere, async (played, thief) => lockStepEnds(await service(), played, thief)),
    ],
  ]
}
