import fc from 'fast-check'
import t from 'tap'
import { migrate } from '../../../src/db/migrate.ts'
import { ENGINES, openNode } from '../../support/engines.ts'
import { refreshModel } from '../../support/refresh-model/refresh-model.ts'

// Owners and thieves on PostgreSQL, where each of two servers has a clock of its own.

for (const engine of ENGINES.filter(({ name }) => name === 'postgres'))
  t.test(engine.name, async (t) => {
    const database = await openNode(t, await engine.url(t))
    await migrate(database, () => 1)
    for (const [promise, property] of refreshModel(database))
      await t.test(promise, async () => fc.assert(property, { numRuns: 25 }))
  })
