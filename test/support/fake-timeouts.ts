import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'

// Imported for its side effect: from now on `setTimeout` of this process fires only when a test calls
// `mock.timers.tick(milliseconds)`. It is not undone after each test: a timer from before that is cleared later would
// remove another timer from the queue of the next test. The files that import this run in a process of their own, the
// group `timeouts`.

export function fakeTimeouts(): void {
  mock.timers.enable({ apis: ['setTimeout'] })
  syncBuiltinESMExports()
}

export function realTimeouts(): void {
  mock.timers.reset()
  syncBuiltinESMExports()
}

fakeTimeouts()
