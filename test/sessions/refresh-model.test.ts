import fc from 'fast-check'
import t from 'tap'
import { migrate } from '../../src/db/migrate.ts'
import { openNode } from '../support/engines.ts'
import { refreshModel } from '../support/refresh-model/refresh-model.ts'

// Owners and thieves on SQLite. On PostgreSQL, with two clocks: test/system/sessions/refresh-model.test.ts

const database = await openNode(t, 'sqlite::memory:')
await migrate(database, () => 1)
for (const [promise, property] of refreshModel(database))
  t.test(promise, async () => fc.assert(property, { numRuns: 100 }))
