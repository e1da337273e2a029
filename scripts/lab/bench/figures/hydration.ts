import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomId } from '../../../../src/ids.ts'
import { beginBlocks, endBlocks, FeedVerifier, type LoopBlocks, MEASURED_LOOP } from '../feed-verifier.ts'
import type { Bench, Contest, Figure } from '../figure.ts'
import { filledHome } from '../revoking.ts'
import { type Server, settings, startScript } from '../server-process.ts'

const MILLION = 1_000_000
/** What neither event loop may be blocked for. */
const MOST_MS = 50
/** The garbage that a million rows leave behind is collected in this time. */
const SETTLE_MS = 5000

interface Round {
  /** Of the server in the first seconds after it listens. */
  readonly boot: LoopBlocks
  readonly server: LoopBlocks
  readonly follower: LoopBlocks
  /** Of the server when the whole feed is made in the old form. */
  readonly wholeFeed: LoopBlocks
  /** Of the server when it reads the store from the first row on, as at its boot, and compares. */
  readonly readAgain: LoopBlocks
  readonly seconds: number
  readonly bytes: number
  /** MB: of the server before and after, and of the follower. */
  readonly memory: readonly [before: number, after: number, follower: number]
}

/** A service that begins to follow a set of a million: how long the event loops of both stand still. */
export const feedMillion: Figure = {
  name: 'feed-million',
  title: 'feed: a verifier gets 1,000,000 revocations',
  unit: 'ms of the longest turn',
  limit: 'the promise',
  better: 'less',
  reach: { value: MOST_MS },
  onDemand: true,
  prepare,
}

async function prepare(bench: Bench, _cleanup: AsyncDisposableStack): Promise<Contest> {
  const home = await filledHome(bench, { revocations: MILLION })
  const rounds: Round[] = []
  return {
    async signet() {
      const round = await measured(bench, home)
      rounds.push(round)
      const { boot, server, follower, wholeFeed, readAgain } = round
      return Math.max(...[boot, server, follower, wholeFeed, readAgain].map(({ processor }) => processor))
    },
    limit: async () => MOST_MS,
    notes: () => rounds.slice(1).map(told),
  }
}

/** Both begin anew: a server keeps what it has signed for the next follower. */
async function measured(bench: Bench, home: string): Promise<Round> {
  await using cleanup = new AsyncDisposableStack()
  const server = await startMeasured(bench, home)
  cleanup.use(server.child)
  await beginBlocks(server.child)
  const follower = cleanup.use(new FeedVerifier(bench.cores?.load))
  await sleep(SETTLE_MS)
  const boot = await endBlocks(server.child)
  const before = server.child.residentMemory()
  await beginBlocks(server.child)
  await beginBlocks(follower.child)
  const began = performance.now()
  const entries = await follower.hydrate(server.origin)
  const seconds = (performance.now() - began) / 1000
  if (entries !== MILLION) throw new Error(`the follower has ${entries} entries`)
  const blocks = { server: await endBlocks(server.child), follower: await endBlocks(follower.child) }
  const memory = [before, server.child.residentMemory(), follower.child.residentMemory()] as const
  const bytes = await length(`${server.origin}/.well-known/revocations?after=0`)
  await beginBlocks(server.child)
  await length(`${server.origin}/.well-known/revocations`)
  const wholeFeed = await endBlocks(server.child)
  await beginBlocks(server.child)
  beginHistory(home)
  await sleep(SETTLE_MS)
  return { boot, ...blocks, wholeFeed, readAgain: await endBlocks(server.child), seconds, bytes, memory }
}

/** As another server does it that found out that the store went back. */
function beginHistory(home: string): void {
  using db = new DatabaseSync(join(home, 'signet.db'))
  db.prepare('UPDATE revocation_head SET history = ?').run(randomId())
}

function startMeasured(bench: Bench, home: string): Promise<Server> {
  return startScript(bench, { core: bench.cores?.server }, (port) => ({
    args: [...MEASURED_LOOP, 'src/server.ts'],
    env: { ...settings(home), PORT: String(port), ISSUER: `http://127.0.0.1:${port}` },
  }))
}

async function length(url: string): Promise<number> {
  const reply = await fetch(url)
  if (!reply.ok) throw new Error(`${url} answered ${reply.status}`)
  let bytes = 0
  for await (const chunk of reply.body ?? []) bytes += chunk.length
  return bytes
}

function told({ boot, server, follower, wholeFeed, readAgain, seconds, bytes, memory }: Round): string {
  const turn = ({ processor, wall, collection }: LoopBlocks) =>
    `${processor.toFixed(0)} ms (${wall.toFixed(0)} by the clock, with a collection of ${collection.toFixed(0)})`
  const [before, after, ofFollower] = memory.map((value) => value.toFixed(0))
  return (
    `longest turn: server after its boot ${turn(boot)}, then ${turn(server)}, follower ${turn(follower)}, ` +
    `server with the whole feed ${turn(wholeFeed)}, and when it reads the store again ${turn(readAgain)}; ` +
    `${(bytes / 1e6).toFixed(0)} MB in ${seconds.toFixed(1)} s; memory of the server ${before} MB, then ${after} MB, ` +
    `of the follower ${ofFollower} MB`
  )
}
