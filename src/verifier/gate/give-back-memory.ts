import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const AFTER_START_MS = 1000
/** Above it a collection takes long, and what was loaded is not what takes the memory. */
const LARGE_HEAP_BYTES = 64 * 1024 * 1024

/**
 * Collects the garbage of the start, once. V8 would keep it: an idle gate allocates too little to be collected. See
 * `giveBackMemory` of the server for the reasons.
 */
export function giveBackMemory(): void {
  setTimeout(() => {
    if (process.memoryUsage().heapUsed > LARGE_HEAP_BYTES) return
    setFlagsFromString('--expose-gc')
    const gc: (how: object) => void = runInNewContext('gc')
    gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    setFlagsFromString('--no-expose-gc')
  }, AFTER_START_MS).unref()
}
