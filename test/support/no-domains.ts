import asyncHooks from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'

// tap follows every promise of a test process with an async hook, to know the test of an error that nobody caught. That
// takes an eighth of the processor time of a group. Here that hook is not set: an error that nobody caught fails the
// group and not one of its tests, and its stack says where it comes from. A file that is run alone has the hook. To be
// loaded before tap.

const { createHook } = asyncHooks
const notSet = {
  enable: () => notSet,
  disable: () => notSet,
}

/** Only tap's own hook has these two functions and no others. */
const isOfTap = (functions: asyncHooks.HookCallbacks) => Object.keys(functions).sort().join() === 'destroy,init'

Object.assign(asyncHooks, {
  createHook: (functions: asyncHooks.HookCallbacks) => (isOfTap(functions) ? notSet : createHook(functions)),
})
syncBuiltinESMExports()
