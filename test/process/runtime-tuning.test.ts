import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'
import vm from 'node:vm'
import t from 'tap'
import { giveBackMemory, keepTickShape } from '../../src/process/runtime-tuning.ts'

t.test('garbage is collected once, after the boot', async (t) => {
  const collect = mock.fn()
  const collector = mock.method(vm, 'runInNewContext', () => collect)
  syncBuiltinESMExports()
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => {
    mock.reset()
    syncBuiltinESMExports()
  })
  giveBackMemory()
  t.equal(collect.mock.callCount(), 0, 'not in the way of the boot')
  mock.timers.tick(3_600_000)
  t.equal(collect.mock.callCount(), 1)

  collector.mock.mockImplementation(() => {
    throw new ReferenceError('gc is not defined')
  })
  giveBackMemory()
  t.doesNotThrow(() => mock.timers.tick(3_600_000), 'a V8 that has no collector to call does not end the server')
})

t.test('what is kept is the record that Node makes for a tick, with its keys', async (t) => {
  const record = await keepTickShape()
  t.type((record as { callback?: unknown }).callback, 'function')
  t.ok(Object.getOwnPropertySymbols(record).length > 0, 'keys that a literal computes: those are what V8 stumbles over')
})
