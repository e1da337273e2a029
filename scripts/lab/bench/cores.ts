import { spawnSync } from 'node:child_process'

export interface Cores {
  readonly server: number
  readonly load: number
}

/**
 * Two cores that this process may use, so that a server never shares its core with the load generator.
 *
 * @returns undefined where there is no `taskset`, or only one core
 */
export function twoCores(): Cores | undefined {
  const { status, stdout } = spawnSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8' })
  if (status !== 0) return undefined
  const [server, load] = parseList(stdout.slice(stdout.lastIndexOf(':') + 1).trim())
  return server === undefined || load === undefined ? undefined : { server, load }
}

/** `0-2,5` is 0, 1, 2, 5. */
function parseList(text: string): number[] {
  return text.split(',').flatMap((range) => {
    const [from = Number.NaN, to = from] = range.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, i) => from + i)
  })
}
