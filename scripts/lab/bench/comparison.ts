import type { Bench } from './figure.ts'
import { type Summary, summarise } from './statistics.ts'

/** Several ways to do the same thing, measured in one run: a table of its own. */
export interface Comparison {
  /** For `--only`. */
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly better: 'more' | 'less'
  /** True when it takes minutes or packages from npm: it is measured only when named, or with `--all`. */
  readonly onDemand?: boolean
  prepare(bench: Bench, cleanup: AsyncDisposableStack): Promise<Contenders>
}

export interface Contenders {
  /** In the order of the table. Shares are relative to the first. */
  readonly sides: readonly Side[]
  readonly notes?: readonly string[]
}

export interface Side {
  readonly name: string
  /** The promised share of the first side. */
  readonly reach?: number
  round(): Promise<Round>
}

/** One round, in the unit of the comparison. */
export interface Round {
  readonly value: number
  /** Microseconds of processor time for each piece of work, where it can be measured. */
  readonly cpu?: number | undefined
}

export interface Compared {
  readonly comparison: Comparison
  readonly sides: readonly ComparedSide[]
  readonly notes: readonly string[]
}

export interface ComparedSide {
  readonly name: string
  readonly reach: number | undefined
  readonly value: Summary
  readonly cpu: Summary | undefined
  /** Its share of the first side, round by round. */
  readonly share: Summary
  /** The share by processor time alone: the steadier measure on a machine that others use too. */
  readonly cpuShare: Summary | undefined
}

/** Measures all sides in turn, round by round (A B C A B C …). The first round of each only warms up. */
export async function compare(comparison: Comparison, bench: Bench): Promise<Compared> {
  await using cleanup = new AsyncDisposableStack()
  const { sides, notes = [] } = await comparison.prepare(bench, cleanup)
  const rounds: Round[][] = sides.map(() => [])
  for (let round = 0; round <= bench.rounds; round += 1) {
    for (const [index, side] of sides.entries()) {
      const measured = await side.round()
      if (round > 0) rounds[index]?.push(measured)
    }
  }
  const compared = sides.map(({ name, reach }, index): ComparedSide => {
    const [own, first] = [rounds[index], rounds[0]].map((list = []) => ({
      values: list.map(({ value }) => value),
      cpu: list.flatMap(({ cpu }) => cpu ?? []),
    })) as [Measures, Measures]
    const cpuRatios = own.cpu.length === first.cpu.length ? own.cpu.map((cpu, i) => cpu / (first.cpu[i] ?? 0)) : []
    const cpuShares = comparison.better === 'less' ? cpuRatios : cpuRatios.map((ratio) => 1 / ratio)
    return {
      name,
      reach,
      value: summarise(own.values),
      share: summarise(own.values.map((value, round) => value / (first.values[round] ?? 0))),
      cpu: own.cpu.length === 0 ? undefined : summarise(own.cpu),
      cpuShare: cpuShares.length === 0 ? undefined : summarise(cpuShares),
    }
  })
  return { comparison, sides: compared, notes }
}

interface Measures {
  readonly values: number[]
  readonly cpu: number[]
}
