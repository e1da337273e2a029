import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { createVerifier, type Refusal } from '../../../src/verifier/index.ts'
import { makeRunFolder } from '../run-folder.ts'
import { quantile } from './difference.ts'
import { filledHome, logOut, tokensOfSessions } from './revoking.ts'
import { type Server, startSignet } from './server-process.ts'
import { takesNoOptions } from './takes-no-options.ts'
import { crowd } from './watch-crowd.ts'
import { type LiveSocket, Recipes } from './watch-recipes.ts'

// Connections that outlive the request that opened them: how soon are they told that their token was taken back, and
// what does it cost to watch them? A real server; the recipes of sockets.md as they are printed, with `ws` from npm.

const WATCHED = 10_000
const REVOKED = 200
const IDLE_SECONDS = 20
/** A look of the follower is 0.25 s after the one before: logouts must not keep in step with it. */
const MOST_PAUSE_MS = 400
const PROMISED_MS = 1000

takesNoOptions(
  'usage: npm run bench:watch\n\n' +
    '10,000 watched tokens and 200 WebSockets, of which 200 are revoked one by one. Takes three minutes.',
)

const bench = { rounds: 1, seconds: 1, folder: makeRunFolder('watch'), cores: undefined }
const home = await filledHome(bench, { revocations: 0, accounts: WATCHED })
const server = await startSignet(bench, home)
const recipes = await Recipes.install(bench, server)
try {
  const tokens = await tokensOfSessions(server, home, WATCHED)
  await recipes.work(tokens.splice(-20))
  await watchMany(server, tokens)
  for (const line of await crowd(100_000)) console.log(line)
} finally {
  await recipes.end()
  await server.child.stop()
}

async function watchMany({ origin, child }: Server, tokens: readonly string[]): Promise<void> {
  const verifier = createVerifier({ issuer: origin, audience: origin, revocations: true })
  await verifier.hydrate()
  const claims = await Promise.all(tokens.map((token) => verifier.verify(token)))
  const [unwatched, before] = [await idleShare(), heap()]
  const told = new Map<number, (at: number, refusal: Refusal) => void>()
  for (const [i, one] of claims.entries()) verifier.watch(one, (refusal) => told.get(i)?.(performance.now(), refusal))
  const memory = heap() - before
  say(
    `${tokens.length} watched tokens`,
    `${(memory / 1e6).toFixed(1)} MB of heap, ${Math.round(memory / tokens.length)} bytes each`,
  )
  say('a quiet verifier, of a core', `${percent(await idleShare())} (${percent(unwatched)} with nobody watched)`)

  const sockets: LiveSocket[] = []
  for (const token of tokens.slice(0, REVOKED)) sockets.push(await recipes.open(token))
  const [inProcess, onSocket]: [number[], number[]] = [[], []]
  const used = process.cpuUsage()
  const server = child.cpuSeconds() ?? Number.NaN
  for (const [i, socket] of sockets.entries()) {
    const over = new Promise<readonly [number, Refusal]>((resolve) => told.set(i, (...what) => resolve(what)))
    await logOut(origin, tokens[i] ?? '')
    const answered = performance.now()
    const [[at, refusal], closed] = await Promise.all([over, socket.closed])
    if (refusal !== 'revoked_session' || closed.code !== 4401 || closed.reason !== 'invalid_token')
      throw new OperatorError(`a connection ended with ${refusal}, ${closed.code} ${closed.reason}`)
    inProcess.push(Math.max(0, at - answered))
    onSocket.push(Math.max(0, closed.at - answered))
    await sleep(Math.random() * MOST_PAUSE_MS)
  }
  const { user, system } = process.cpuUsage(used)
  const each = (ms: number) => `${(ms / REVOKED).toFixed(1)} ms`
  say(`${REVOKED} logouts: from the answer to onOver`, times(inProcess))
  say(`to the close of the WebSocket at its client`, times(onSocket))
  say(
    'processor time a logout',
    `${each((user + system) / 1000)} here (it also asks for the logouts and is the client)`,
  )
  say('', `${each(((child.cpuSeconds() ?? Number.NaN) - server) * 1000)} of the server`)
  if (
    quantile(
      inProcess.toSorted((a, b) => a - b),
      0.99,
    ) > PROMISED_MS
  )
    process.exitCode = 1
  verifier.close()
}

function times(unordered: readonly number[]): string {
  const delays = unordered.toSorted((a, b) => a - b)
  const at = (share: number) => `${Math.round(quantile(delays, share))} ms`
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, worst ${at(1)}`
}

/** Of a core, while nothing happens. */
async function idleShare(): Promise<number> {
  await sleep(1000)
  const used = process.cpuUsage()
  await sleep(IDLE_SECONDS * 1000)
  const { user, system } = process.cpuUsage(used)
  return (user + system) / 1e6 / IDLE_SECONDS
}

function heap(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`
}

function say(what: string, result: string): void {
  console.log(`${what.padEnd(46)} ${result}`)
}
