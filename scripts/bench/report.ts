import { availableParallelism, cpus, loadavg } from 'node:os'
import type { Bench, Measured } from './figure.ts'
import type { Summary } from './statistics.ts'

const HEAD = ['figure', 'unit', 'Signet (min..max)', 'limit (min..max)', 'ratio (min..max)', 'limit is']

/** Columns that hold numbers stand right-aligned. */
const NUMBERS = new Set([2, 3, 4])

/** All figures as one aligned table, and below it what a reader has to know about single ones. */
export function report(measured: readonly Measured[]): string {
  const rows = measured.map(({ figure, signet, limit, ratio }) => [
    figure.title,
    figure.better === 'less' ? `${figure.unit}, less is better` : figure.unit,
    shown(signet),
    shown(limit),
    shown(ratio, (value) => value.toFixed(2)),
    figure.limit,
  ])
  const notes = measured.flatMap(({ figure, notes }) => notes.map((note) => `${figure.name}: ${note}`))
  const lines = aligned([HEAD, ...rows])
  return (notes.length === 0 ? lines : [...lines, '', ...notes]).join('\n')
}

/** One line about what the numbers were measured on. */
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

function shown({ median, min, max }: Summary, form = rounded): string {
  return `${form(median)} (${form(min)}..${form(max)})`
}

/** More digits would be noise. */
function rounded(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1)
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) =>
        NUMBERS.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
}
