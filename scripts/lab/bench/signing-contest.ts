import { availableParallelism } from 'node:os'
import type { Bench, Contest } from './figure.ts'
import type { LightLoad, LightOrder, Source } from './light-load.ts'
import { bareSigner, SIGN_IN_FLIGHT } from './mint.ts'
import type { Server } from './server-process.ts'
import { summarise } from './statistics.ts'
import { perSecond } from './throughput.ts'

/** Enough that no core and no write to the store ever has to wait for a request. */
export const ISSUE_CONNECTIONS = 48

/** What is needed to request tokens from a server over HTTP, on all cores. */
export interface Issuing {
  readonly server: Server
  readonly load: LightLoad
  /** The first requests. Where later ones depend on the answers, the load generator continues from these. */
  readonly source: Source
}

interface Cost {
  /** Milliseconds of the server's processor time per token. */
  readonly server: number
  /** Share of the machine's processor time that the load generator used. */
  readonly load: number
}

/** Tokens over HTTP, compared with only the RSA signatures that they need. Unpinned: signing uses every core. */
export async function signingContest(bench: Bench, issuing: Issuing): Promise<Contest> {
  const signOne = await bareSigner()
  const issue = issuingRounds(bench, issuing)
  const costs: (Cost | undefined)[] = []
  const signatures: number[] = []
  return {
    async signet() {
      const { rate, cost } = await issue()
      costs.push(cost)
      return rate
    },
    async limit() {
      const before = process.cpuUsage()
      const began = performance.now()
      const rate = await perSecond(signOne, SIGN_IN_FLIGHT, bench.seconds)
      const { user, system } = process.cpuUsage(before)
      signatures.push((user + system) / 1000 / (rate * ((performance.now() - began) / 1000)))
      return rate
    },
    notes() {
      // The first round is dropped, as in measure().
      const known = costs.slice(1).filter((cost) => cost !== undefined)
      if (known.length === 0) return []
      const ours = summarise(known.map(({ server }) => server))
      const theirs = summarise(signatures.slice(1))
      const load = summarise(known.map(({ load }) => load))
      return [
        `processor time: a token ${ours.median.toFixed(3)} ms of the server's, ` +
          `a signature ${theirs.median.toFixed(3)} ms, ratio ${(theirs.median / ours.median).toFixed(2)}; ` +
          `the load took ${Math.round(load.median * 100)} % of the machine for itself`,
      ]
    },
  }
}

/** @returns a function that requests tokens for one round; connections and their state continue from round to round */
export function issuingRounds({ seconds }: Bench, { server, load, source }: Issuing) {
  let next = source
  return async (): Promise<{ rate: number; cost: Cost | undefined }> => {
    const usage = () => [server.child.cpuSeconds(), load.cpuSeconds()] as const
    const before = usage()
    const order: LightOrder = { origin: server.origin, source: next, connections: ISSUE_CONNECTIONS, seconds }
    const result = await load.run(order)
    const after = usage()
    next = result.source
    return { rate: result.rate, cost: costOf(before, after, result) }
  }
}

type Usage = readonly [server: number | undefined, load: number | undefined]

function costOf(before: Usage, after: Usage, { good, seconds }: { good: number; seconds: number }): Cost | undefined {
  const [server, load] = [0, 1].map((side) => (after[side] ?? Number.NaN) - (before[side] ?? Number.NaN))
  if (server === undefined || load === undefined || Number.isNaN(server + load)) return undefined
  return { server: (server * 1000) / good, load: load / seconds / availableParallelism() }
}
