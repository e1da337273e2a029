import { executionAsyncResource } from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'
import v8 from 'node:v8'
import vm from 'node:vm'
import t from 'tap'
import { giveBackMemory, giveBackMuchMemory, keepTickShape } from '../../src/process/runtime-tuning.ts'
import * as gate from '../../src/verifier/gate/give-back-memory.ts'

t.test('garbage is collected once, after the boot, and a large heap before it serves', async (t) => {
  const collect = mock.fn()
  const collector = mock.method(vm, 'runInNewContext', () => collect)
  let used = 2 ** 26
  mock.method(v8, 'getHeapStatistics', () => ({ used_heap_size: used }))
  syncBuiltinESMExports()
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => {
    mock.reset()
    syncBuiltinESMExports()
  })
  giveBackMuchMemory()
  giveBackMemory()
  t.equal(collect.mock.callCount(), 0, 'not in the way of the boot')
  mock.timers.tick(3_600_000)
  t.equal(collect.mock.callCount(), 1)

  used += 1 // a million revocations: it would stand still for long
  giveBackMuchMemory()
  t.equal(collect.mock.callCount(), 2)
  giveBackMemory()
  mock.timers.tick(3_600_000)
  t.equal(collect.mock.callCount(), 2)
  used = 0

  collector.mock.mockImplementation(() => {
    throw new ReferenceError('gc is not defined')
  })
  giveBackMemory()
  t.doesNotThrow(() => mock.timers.tick(3_600_000), 'a V8 that has no collector to call does not end the server')
  gate.giveBackMemory()
  t.doesNotThrow(() => mock.timers.tick(3_600_000), 'nor the gate')
  t.equal(collector.mock.callCount(), 4)
})

t.test('the record of a tick is kept where Node makes it from a literal, and only there', async (t) => {
  const own = await new Promise<object>((resolve) => process.nextTick(() => resolve(executionAsyncResource())))
  const record = await keepTickShape()
  if (own.constructor.name === 'TickObject') {
    t.equal(record, undefined, `${process.version} makes it with a class`)
  } else {
    t.type((record as { callback?: unknown }).callback, 'function')
    t.ok(
      Object.getOwnPropertySymbols(record as object).length > 0,
      'keys that a literal computes: V8 stumbles over those',
    )
  }
})
