// Loaded into the server processes of tests. A server collects garbage once, half a second after its boot: that takes a
// fifth of the processor time of a short life, and changes no answer. Here V8 does not have the function that collects,
// as on a V8 without it. JavaScript, because an option of Node names it.

import { syncBuiltinESMExports } from 'node:module'
import v8 from 'node:v8'

const set = v8.setFlagsFromString
v8.setFlagsFromString = (flag) => {
  if (flag === '--expose-gc') throw new Error('not in this process')
  set(flag)
}
syncBuiltinESMExports()
