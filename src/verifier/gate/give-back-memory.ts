import { collectGarbage, isHeapLarge } from '../../collect-garbage.ts'

const AFTER_START_MS = 1000

/**
 * Collects the garbage of the start, once. V8 would keep it: an idle gate allocates too little to be collected. See
 * `giveBackMemory` of the server for the reasons. (Node 26.12, at rest: 76 MB instead of 81.)
 */
export function giveBackMemory(): void {
  setTimeout(() => {
    if (!isHeapLarge()) collectGarbage()
  }, AFTER_START_MS).unref()
}
