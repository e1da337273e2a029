import t from 'tap'
import { keepTickShape } from '../../src/process/tick-shape.ts'

t.test('what is kept is the record that Node makes for a tick, with its keys', async (t) => {
  const record = await keepTickShape()
  t.type((record as { callback?: unknown }).callback, 'function')
  t.ok(Object.getOwnPropertySymbols(record).length > 0, 'keys that a literal computes: those are what V8 stumbles over')
})
