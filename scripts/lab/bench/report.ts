import { availableParallelism, cpus, loadavg } from 'node:os'
import type { Compared } from './comparison.ts'
import type { Bench, Figure, Measured } from './figure.ts'
import type { Summary } from './statistics.ts'

const HEAD = ['figure', 'unit', 'Signet (min..max)', 'limit (min..max)', 'ratio (min..max)', 'to reach', '', 'limit is']

/** The columns with numbers, which are right-aligned. */
const NUMBERS = new Set([2, 3, 4])

/** All figures as one aligned table, and below it the notes on single figures. */
export function report(measured: readonly Measured[]): string {
  const rows = measured.map(({ figure, signet, limit, ratio }) => [
    figure.title,
    unitOf(figure),
    shown(signet),
    shown(limit),
    shown(ratio, share),
    ...promise(figure, signet, ratio),
    figure.limit,
  ])
  const notes = measured.flatMap(({ figure, notes }) => notes.map((note) => `${figure.name}: ${note}`))
  const lines = aligned([HEAD, ...rows], NUMBERS)
  return (notes.length === 0 ? lines : [...lines, '', ...notes]).join('\n')
}

/** One comparison as a table of its own. */
export function comparisonReport({ comparison, sides, notes }: Compared): string {
  const head = [
    comparison.title,
    `${unitOf(comparison)} (min..max)`,
    'share (min..max)',
    'µs of processor time',
    'share by it',
    'to reach',
  ]
  const rows = sides.map(({ name, value, share: ofFirst, cpu, cpuShare, reach }, index) => [
    name,
    shown(value),
    index === 0 ? '' : shown(ofFirst, share),
    cpu === undefined ? '' : rounded(cpu.median),
    index === 0 || cpuShare === undefined ? '' : share(cpuShare.median),
    reach === undefined ? '' : `≥ ${reach} ${verdict(ofFirst.median >= reach)}`,
  ])
  const lines = aligned([head, ...rows], new Set([1, 2, 3, 4]))
  return [...lines, ...notes.map((note) => `${comparison.name}: ${note}`)].join('\n')
}

/** One line about the machine and the settings of the run. */
export function machine({ cores, rounds, seconds }: Bench): string {
  const pinning =
    cores === undefined ? 'unpinned' : `requests: server on core ${cores.server}, load on core ${cores.load}`
  return [
    `${availableParallelism()} cores`,
    cpus()[0]?.model.trim() ?? 'unknown processor',
    `Node.js ${process.versions.node}`,
    `load average ${loadavg()[0]?.toFixed(2)}`,
    pinning,
    `${rounds} rounds of ${seconds} s`,
  ].join(' | ')
}

function unitOf({ unit, better }: { unit: string; better: 'more' | 'less' }): string {
  return better === 'less' ? `${unit}, less is better` : unit
}

/** The promise, and whether the median of the rounds keeps it. */
function promise({ reach, better, unit }: Figure, signet: Summary, ratio: Summary): [string, string] {
  if (reach === undefined) return ['', '']
  const [promised, reached, shownUnit] =
    'ratio' in reach ? [reach.ratio, ratio.median, ''] : [reach.value, signet.median, ` ${unit}`]
  return better === 'more'
    ? [`≥ ${promised}${shownUnit}`, verdict(reached >= promised)]
    : [`≤ ${promised}${shownUnit}`, verdict(reached <= promised)]
}

const verdict = (kept: boolean) => (kept ? 'yes' : 'NO')

const share = (value: number) => value.toFixed(2)

function shown({ median, min, max }: Summary, form = rounded): string {
  return `${form(median)} (${form(min)}..${form(max)})`
}

/** More digits would be noise. */
function rounded(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(value >= 10 ? 1 : 2)
}

function aligned(rows: readonly (readonly string[])[], numbers: ReadonlySet<number>): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) =>
        numbers.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
}
