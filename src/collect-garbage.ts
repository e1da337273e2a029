import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** A heap is large above it. A server without many revocations uses 40 MB after its boot. */
const LARGE_HEAP_BYTES = 64 * 1024 * 1024

export const isHeapLarge = () => getHeapStatistics().used_heap_size > LARGE_HEAP_BYTES

/** Collects all garbage at once, where the runtime can be told to: Bun and a V8 without that function can't. */
export function collectGarbage(): void {
  try {
    setFlagsFromString('--expose-gc')
    const gc: (how: object) => void = runInNewContext('gc')
    gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  } catch {} // it only saves memory
}
