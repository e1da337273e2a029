import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from '../difference.ts'
import { FeedLoad, type FeedRound } from '../feed-load.ts'
import { FeedVerifier } from '../feed-verifier.ts'
import type { Bench, Contest, Figure } from '../figure.ts'
import { filledHome, logOutAtPace, tokensOfSessions } from '../revoking.ts'
import { settings, startSignet } from '../server-process.ts'

/** Ten logouts a second for a quarter of an hour. */
const OUTSTANDING = 9000
/** Releases are at most 1.6 seconds apart: then everybody has everything. */
const SETTLE_MS = 2500

interface Load {
  readonly followers: number
  readonly perSecond: number
  /** `FEED_MAX_WAITERS`. Default: room for all, though a network gets only its share. */
  readonly places?: number
}

/** What one round showed. */
interface Round extends FeedRound {
  /** Share of a core that the server used while sessions were logged out. */
  readonly share: number
  /** Of the round, with the time until everybody has everything. */
  readonly seconds: number
  /** Processor time of the server in it. */
  readonly microseconds: number
  /** Milliseconds from the answer of a logout to each follower that has it, in order. */
  readonly delays: readonly number[]
  /** The same until signet-verifier refuses the token. */
  readonly refusals: readonly number[]
}

const ONE: Load = { followers: 1, perSecond: 1 }

/** What one further revocation costs a follower on the wire, while thousands are outstanding. */
export const feedBytes: Figure = {
  name: 'feed-bytes',
  title: `feed: one more revocation, ${OUTSTANDING} outstanding`,
  unit: 'bytes to a follower',
  limit: 'the whole feed',
  better: 'less',
  reach: { value: 2000 },
  prepare: (bench, cleanup) =>
    prepare(bench, cleanup, ONE, {
      value: ({ bytes, answers }) => bytes / answers,
      async limit(origin) {
        const whole = await fetch(`${origin}/.well-known/revocations`)
        return (await whole.arrayBuffer()).byteLength
      },
    }),
}

export const feedFollowers = loadFigure('feed', { followers: 2000, perSecond: 10 }, 0.3)
export const feedManyFollowers: Figure = {
  ...loadFigure('feed-10000', { followers: 10_000, perSecond: 1 }, 0.5),
  onDemand: true,
}

/** More followers than places: those without one are told when to come back. */
export const feedFull: Figure = {
  name: 'feed-full',
  title: 'feed: 5,000 followers, FEED_MAX_WAITERS=1000',
  unit: 'requests/s',
  limit: 'the promise',
  better: 'less',
  reach: { value: 1000 },
  onDemand: true,
  prepare: (bench, cleanup) =>
    prepare(
      bench,
      cleanup,
      { followers: 5000, perSecond: 0, places: 1000 },
      {
        value: ({ answers, seconds }) => answers / seconds,
        limit: async () => 1000,
      },
    ),
}

function loadFigure(name: string, load: Load, share: number): Figure {
  return {
    name,
    title: `feed: ${load.followers} followers, ${load.perSecond} revocations/s`,
    unit: 'of a core',
    limit: 'the promise',
    better: 'less',
    reach: { value: share },
    prepare: (bench, cleanup) =>
      prepare(bench, cleanup, load, { value: (round) => round.share, limit: async () => share }),
  }
}

interface Side {
  value(round: Round): number
  limit(origin: string): Promise<number>
}

async function prepare(bench: Bench, cleanup: AsyncDisposableStack, load: Load, side: Side): Promise<Contest> {
  const { followers, perSecond, places = 2 * followers + 10 } = load
  const perRound = Math.max(1, perSecond * bench.seconds)
  const home = await filledHome(bench, { revocations: OUTSTANDING, accounts: perRound * (bench.rounds + 1) })
  const env = { ...settings(home), FEED_MAX_WAITERS: String(places), LOG_LEVEL: 'info' } // a line for each answer
  const server = await startSignet(bench, home, { core: bench.cores?.server, env })
  cleanup.use(server.child)
  const tokens = await tokensOfSessions(server, home, perRound * (bench.rounds + 1))
  const feed = cleanup.use(new FeedLoad(bench.cores?.load))
  await feed.open(server.origin, followers)
  const verifier = cleanup.use(new FeedVerifier(bench.cores?.load))
  await verifier.hydrate(server.origin)
  await sleep(SETTLE_MS)
  const rounds: Round[] = []
  let newest = OUTSTANDING
  const round = async () => {
    await feed.report()
    const [cpu, began] = [server.child.cpuSeconds() ?? Number.NaN, performance.now()]
    const goes = perSecond > 0 ? tokens.splice(0, perRound) : []
    const watched = verifier.refusals(goes)
    const answered = await logOutAtPace(server, goes, perSecond)
    if (perSecond === 0) await sleep(bench.seconds * 1000)
    const busy = (performance.now() - began) / 1000
    const share = ((server.child.cpuSeconds() ?? Number.NaN) - cpu) / busy
    await sleep(SETTLE_MS)
    const seconds = (performance.now() - began) / 1000
    const microseconds = ((server.child.cpuSeconds() ?? Number.NaN) - cpu) * 1e6
    const report = await feed.report()
    const refusals = (await watched).map((at, i) => at - (answered[i] ?? Number.NaN))
    rounds.push({ ...report, share, seconds, microseconds, delays: delaysOf(report, answered, newest), refusals })
    newest += answered.length
    return side.value(rounds.at(-1) as Round)
  }
  return {
    signet: round,
    limit: () => side.limit(server.origin),
    notes: () => notes(rounds, server.child.residentMemory()),
  }
}

/**
 * An answer that ends with a number brings everything up to it: each revocation came with the first one that has it.
 */
function delaysOf({ seen }: FeedRound, answered: readonly number[], before: number): number[] {
  const inOrder = seen.toSorted((a, b) => a.seq - b.seq)
  const delays = answered.flatMap((answeredAt, i) =>
    (inOrder.find(({ seq }) => seq > before + i)?.at ?? []).map((at) => at - answeredAt),
  )
  return delays.sort((a, b) => a - b)
}

function notes(all: readonly Round[], memory: number): string[] {
  const rounds = all.slice(1)
  const total = (name: 'seconds' | 'answers' | 'bytes' | 'microseconds') =>
    rounds.reduce((sum, round) => sum + round[name], 0)
  const answers = total('answers')
  const late = (what: 'delays' | 'refusals') => {
    const sorted = rounds.flatMap((round) => round[what]).sort((a, b) => a - b)
    return `p50 ${quantile(sorted, 0.5).toFixed(0)} ms, p99 ${quantile(sorted, 0.99).toFixed(0)} ms`
  }
  const isRevoking = rounds.some(({ delays }) => delays.length > 0)
  const delays = isRevoking
    ? [`from the answer of a logout to a follower ${late('delays')}; to refused by signet-verifier ${late('refusals')}`]
    : []
  return [
    `${(answers / total('seconds')).toFixed(0)} answers/s of ${(total('bytes') / answers).toFixed(0)} bytes, ` +
      `${(total('microseconds') / answers).toFixed(0)} us of processor time each; ${memory.toFixed(0)} MB of memory`,
    ...delays,
  ]
}
