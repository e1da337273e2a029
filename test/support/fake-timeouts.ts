import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'

// Imported for what it does: from now on `setTimeout` of this process goes only when a test says so,
// `mock.timers.tick(milliseconds)`. It is not undone after each test: a timer of before that is cleared later would
// take another one out of the next test's queue. The files that import this run in a process of their own, the group
// `timeouts`.

export function fakeTimeouts(): void {
  mock.timers.enable({ apis: ['setTimeout'] })
  syncBuiltinESMExports()
}

export function realTimeouts(): void {
  mock.timers.reset()
  syncBuiltinESMExports()
}

fakeTimeouts()
