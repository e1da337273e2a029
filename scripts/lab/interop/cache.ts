import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { createVerifier } from '../../../src/verifier/index.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { FeedLoad } from '../bench/feed-load.ts'
import { debianVersion, HERE, type Place } from './program.ts'
import { start } from './verifiers.ts'

/** From the answer of a logout to the last follower that has it: what the operators' page promises behind a cache. */
const MOST_DELAY_MS = 2000
const LOGOUTS = 10
/** Between two logouts: not a multiple of the half second in which nginx looks at its locks. */
const PACE_MS = MOST_DELAY_MS + 130
/** Longer than a long poll, so that each follower gets a renewal. */
const QUIET_MS = 30_000

/** What nginx says about the requests of a while. */
interface Asked {
  /** Of followers. */
  readonly requests: number
  /** Of these, what went to Signet. */
  readonly toOrigin: number
}

interface Round {
  readonly followers: number
  readonly whileRevoking: Asked
  readonly whileQuiet: Asked
  readonly delays: readonly number[]
}

/**
 * Followers of the feed behind nginx as a cache: ten, and a thousand, and the verifier package.
 *
 * @returns lines for the report
 */
export async function followThroughCache(place: Place): Promise<string> {
  const version = debianVersion('nginx')
  if (version === undefined) return 'left out: the revocation feed behind a cache (apt-get install nginx-light)'
  const nginx = await startNginx(place)
  const rounds: Round[] = []
  for (const followers of [10, 1000]) rounds.push(await round(place, nginx, followers))
  const refused = await refusedByVerifier(place, nginx.origin)
  assertCheap(rounds)
  return [`revocation feed behind nginx ${version}, its cache on:`, ...rounds.map(told), refused].join('\n  ')
}

interface Nginx {
  readonly origin: string
  /** Since the last call. */
  asked(): Asked
}

async function startNginx({ folder, issuer }: Place): Promise<Nginx> {
  const own = mkdtempSync(join(folder, 'nginx-'))
  const port = await freePort()
  const recipe = readFileSync(join(HERE, 'nginx/revocations.conf'), 'utf8')
    .replace('/var/cache/nginx/revocations', join(own, 'cache'))
    .replace('127.0.0.1:3000', new URL(issuer.origin).host)
    .replace('127.0.0.1:8080', `127.0.0.1:${port}`)
  writeFileSync(join(own, 'recipe.conf'), recipe)
  const around = readFileSync(join(HERE, 'nginx/nginx.conf'), 'utf8').replaceAll('FOLDER', own)
  writeFileSync(join(own, 'nginx.conf'), around)
  const args = ['-p', own, '-c', join(own, 'nginx.conf')]
  const { child, complaint } = start({ program: 'nginx', args, env: { PATH: '/usr/sbin:/usr/bin:/bin' } })
  const origin = `http://127.0.0.1:${port}`
  while (!(await fetch(`${origin}/health/live`).catch(() => undefined))) {
    if (child.exitCode !== null) throw new OperatorError(`nginx does not start: ${complaint()}`)
    await sleep(50)
  }
  let read = 0
  const asked = () => {
    const lines = readFileSync(join(own, 'access.log'), 'utf8').split('\n').slice(0, -1)
    const fresh = lines.slice(read).filter((line) => line.includes('/.well-known/revocations'))
    read = lines.length
    const bad = fresh.find((line) => !line.startsWith('200 '))
    if (bad !== undefined) throw new OperatorError(`nginx answered a follower: ${bad}`)
    return { requests: fresh.length, toOrigin: fresh.filter((line) => !line.includes(' "-" ')).length }
  }
  return { origin, asked }
}

async function round({ issuer }: Place, nginx: Nginx, followers: number): Promise<Round> {
  await using feed = new FeedLoad()
  await feed.open(nginx.origin, followers)
  await sleep(MOST_DELAY_MS)
  let newest = Math.max(...(await feed.report()).seen.map(({ seq }) => seq))
  nginx.asked()
  const delays: number[] = []
  for (let i = 0; i < LOGOUTS; i += 1) {
    const token = await issuer.logIn()
    await issuer.logOut(token)
    const answered = performance.timeOrigin + performance.now()
    await sleep(PACE_MS)
    const { seen } = await feed.report()
    const got = seen.filter(({ seq }) => seq > newest).flatMap(({ at }) => at)
    const late = got.filter((at) => at - answered > MOST_DELAY_MS)
    if (got.length < followers || late.length > 0)
      throw new OperatorError(
        `behind nginx ${got.length - late.length} of ${followers} followers got a revocation in time`,
      )
    delays.push(...got.map((at) => at - answered))
    newest = Math.max(...seen.map(({ seq }) => seq))
  }
  const whileRevoking = nginx.asked()
  await sleep(QUIET_MS)
  return { followers, whileRevoking, whileQuiet: nginx.asked(), delays: delays.sort((a, b) => a - b) }
}

/** A thousand cost what ten do, and a renewal is one request more for each. */
function assertCheap(rounds: readonly Round[]): void {
  for (const { followers, whileRevoking, whileQuiet } of rounds) {
    if (whileRevoking.toOrigin > 3 * LOGOUTS || whileQuiet.toOrigin > 5)
      throw new OperatorError(`behind nginx ${followers} followers cost too much: ${JSON.stringify(whileRevoking)}`)
    if (whileQuiet.requests > 3 * followers)
      throw new OperatorError(`behind nginx a renewal is asked for again and again: ${JSON.stringify(whileQuiet)}`)
  }
}

function told({ followers, whileRevoking, whileQuiet, delays }: Round): string {
  const at = (share: number) => Math.round(delays[Math.ceil(share * delays.length) - 1] ?? 0)
  return (
    `${followers} followers, ${LOGOUTS} logouts: ${whileRevoking.toOrigin} requests to Signet; received after ` +
    `${at(0.5)} ms, at most ${at(1)} ms; 30 quiet seconds: ${whileQuiet.requests} requests, ` +
    `${whileQuiet.toOrigin} of them to Signet`
  )
}

async function refusedByVerifier({ issuer }: Place, origin: string): Promise<string> {
  const verifier = createVerifier({
    issuer: issuer.url,
    audience: issuer.audience,
    jwksUri: `${origin}/.well-known/jwks.json`,
    revocations: true,
    revocationsUri: `${origin}/.well-known/revocations`,
    onStale: 'reject',
  })
  const token = await issuer.logIn()
  await verifier.verify(token)
  await issuer.logOut(token)
  const began = performance.now()
  const isRefused = () =>
    verifier.verify(token).then(
      () => false,
      (error) => error.code === 'invalid_token' || Promise.reject(error),
    )
  while (!(await isRefused())) {
    if (performance.now() - began > MOST_DELAY_MS)
      throw new OperatorError('behind nginx signet-verifier accepts what was revoked')
    await sleep(10)
  }
  verifier.close()
  return `signet-verifier refused a token ${Math.round(performance.now() - began)} ms after its session ended`
}
