import { setFlagsFromString } from 'node:v8'

/**
 * Keeps what V8 has compiled while nobody asks. After eight quiet seconds V8 collects garbage so as to become small, and throws
 * compiled code and hidden classes away with it: the first requests after a pause then take five times as long, for a quarter of a
 * second. Now it collects, and stays as it is. Price: the pages that a burst took are kept for the next one.
 */
export function keepCompiledCode(): void {
  setFlagsFromString('--no-memory-reducer-favors-memory')
}
