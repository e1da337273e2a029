import type { Contest } from './figure.ts'
import type { Server } from './server-process.ts'
import { summarise } from './statistics.ts'

/**
 * If a server uses less than this share of its core, it waited for something else, and the requests per second are not
 * its own limit.
 */
const BUSY = 0.95

interface Usage {
  /** Share of a core that the server used. */
  readonly busy: number[]
  /** Requests per second of the server's own processor time. */
  readonly perCpuSecond: number[]
}

/** @param run puts the same load on either server for a round */
export function requestContest(
  sides: { signet: Server; bare: Server },
  run: (server: Server) => Promise<{ rate: number; seconds: number }>,
): Contest {
  const usage = { signet: emptyUsage(), bare: emptyUsage() }
  const round = async (side: 'signet' | 'bare') => {
    const before = sides[side].child.cpuSeconds()
    const { rate, seconds } = await run(sides[side])
    const after = sides[side].child.cpuSeconds()
    if (before !== undefined && after !== undefined) {
      usage[side].busy.push((after - before) / seconds)
      usage[side].perCpuSecond.push((rate * seconds) / (after - before))
    }
    return rate
  }
  return {
    signet: () => round('signet'),
    limit: () => round('bare'),
    notes: () => (usage.signet.busy.length === 0 ? [] : usageNotes(usage)),
  }
}

/**
 * On a machine that others use too, processor time is the steadier measure: it does not include time that others took.
 */
function usageNotes({ signet, bare }: { signet: Usage; bare: Usage }): string[] {
  // The first round is dropped, as in measure().
  const [ours = [], theirs = []] = [signet, bare].map(({ perCpuSecond }) => perCpuSecond.slice(1))
  const ratio = summarise(ours.map((value, round) => value / (theirs[round] ?? 0)))
  const notes = [
    `per second of the server's own processor time ${whole(ours)}, limit ${whole(theirs)}, ` +
      `ratio ${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}..${ratio.max.toFixed(2)})`,
  ]
  for (const [name, { busy }] of Object.entries({ Signet: signet, 'the bare server': bare })) {
    const least = Math.min(...busy.slice(1))
    if (least < BUSY)
      notes.push(`${name} used only ${Math.round(least * 100)} % of its core in a round: something else was the limit`)
  }
  return notes
}

function emptyUsage(): Usage {
  return { busy: [], perCpuSecond: [] }
}

function whole(samples: readonly number[]): string {
  return String(Math.round(summarise(samples).median))
}
