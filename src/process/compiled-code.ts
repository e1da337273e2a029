import { setFlagsFromString } from 'node:v8'

/**
 * Keeps what V8 has compiled while nobody asks. After eight quiet seconds V8 collects garbage, and in its own way of doing it throws
 * compiled code and hidden classes away with it: the first requests after a pause then take five times as long, for a quarter of a
 * second. It still collects, and gives the memory back, but keeps those.
 */
export function keepCompiledCode(): void {
  setFlagsFromString('--no-memory-reducer-favors-memory')
}
