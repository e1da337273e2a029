import type { Cores } from './cores.ts'
import { type Summary, summarise } from './statistics.ts'

/** The settings that all figures of a run share. */
export interface Bench {
  /** Measured rounds per side. */
  readonly rounds: number
  /** Length of a round in seconds, for figures that count how much gets done in a time. */
  readonly seconds: number
  /** A temporary folder, removed at the end. */
  readonly folder: string
  /** One core for the server and one for the load generator; undefined where processes can't be pinned. */
  readonly cores: Cores | undefined
}

/** One line of the table: Signet compared with the best that the machine or the framework can do. */
export interface Figure {
  /** For `--only`. */
  readonly name: string
  readonly title: string
  readonly unit: string
  /** The name of that best case, for the column beside Signet. */
  readonly limit: string
  readonly better: 'more' | 'less'
  /** The promise: a share of the limit, or Signet's own value in the unit. Absent: no promise. */
  readonly reach?: { readonly ratio: number } | { readonly value: number }
  /** True when it takes minutes: it is measured only when named, or with `--all`. */
  readonly onDemand?: boolean
  /** Starts what the rounds need. Processes go on the stack, which ends them when the figure is done or has failed. */
  prepare(bench: Bench, cleanup: AsyncDisposableStack): Promise<Contest>
}

/** One round of each side, in the unit of the figure. */
export interface Contest {
  signet(): Promise<number>
  limit(): Promise<number>
  /** Read after the last round: what a reader must know to judge the numbers. */
  notes?(): readonly string[]
}

export interface Measured {
  readonly figure: Figure
  readonly signet: Summary
  readonly limit: Summary
  /**
   * Signet's share of the limit, round by round. The two rounds compared are next to each other in time, so a slow
   * minute of the machine does not count.
   */
  readonly ratio: Summary
  readonly notes: readonly string[]
}

/**
 * Runs the rounds of both sides in turn (A B A B …), so that other programs on the machine disturb both sides equally.
 * The first round of each side only warms up compilers and caches.
 */
export async function measure(figure: Figure, bench: Bench): Promise<Measured> {
  await using cleanup = new AsyncDisposableStack()
  const contest = await figure.prepare(bench, cleanup)
  const signet: number[] = []
  const limit: number[] = []
  for (let round = 0; round <= bench.rounds; round += 1) {
    const pair = [await contest.signet(), await contest.limit()] as const
    if (round === 0) continue
    signet.push(pair[0])
    limit.push(pair[1])
  }
  const ratio = summarise(signet.map((value, round) => value / (limit[round] ?? 0)))
  return { figure, signet: summarise(signet), limit: summarise(limit), ratio, notes: contest.notes?.() ?? [] }
}
