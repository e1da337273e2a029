import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { faults } from '../../../../test/support/attacks/judge.ts'
import { rawRequest } from '../../../../test/support/raw-request.ts'
import { HERE, type Place } from '../program.ts'
import { hostileRequests, makeTable, type Table } from '../runtimes/attacks.ts'
import { nextKey } from '../runtimes/revoke.ts'
import { issuerMint } from '../tokens.ts'
import type { Trial } from '../trial.ts'
import { demands } from './demands.ts'
import { type GuardTrial, get } from './guard-trial.ts'
import { GUARDS, type Guard } from './guards.ts'
import { sameVerdicts } from './judge.ts'
import { outage } from './outage.ts'

const VECTORS = join(HERE, '../../../src/revocations/vectors')
/** From the revocation of a key to the refusal of its tokens. */
const KEY_BOUND_MS = 10_000
const COLUMNS = ['vectors', 'tokens', 'requests', 'two lines', 'next key', 'key revoked', 'ends in']

/**
 * What guards with revocation have to do beyond the table of the programs: they are tried as they run there. The last
 * check revokes the signing key.
 *
 * @returns the table; what is wrong is among the faults of the trials
 */
export async function tryGuards(place: Place, all: readonly Trial[]): Promise<string> {
  const pairs = all.flatMap((trial) => {
    const guard = GUARDS.find(({ name }) => name === trial.program.name)
    return guard === undefined ? [] : [asGuardTrial(guard, trial)]
  })
  if (pairs.length === 0) return ''
  process.stderr.write('guards with revocation: test vectors, attacks, an outage …\n')
  for (const trial of pairs) await runVectors(trial, place)
  await nextKey(pairs, place.issuer) // before a flood of unknown key ids makes them slow to look
  await outage(pairs, place)
  const mint = await issuerMint(place.issuer)
  const table = await makeTable(mint, await place.issuer.logIn())
  await sameVerdicts(pairs, place, table)
  for (const trial of pairs) {
    await demands(trial, mint)
    await hostileLinesOfTable(trial, table)
    await hostileRequests(trial, table)
  }
  if (table.canaryHits.length > 0) pairs[0]?.faults.push(`somebody asked ${table.canaryHits} for keys`)
  await keyRevoked(pairs, place)
  return report(pairs)
}

function asGuardTrial(guard: Guard, { version, verifier, faults }: Trial): GuardTrial {
  const own: string[] = []
  const runtime = {
    ...guard,
    mode: 'follow' as const,
    crypto: 'node:crypto' as const,
    command: () => Promise.reject(new Error('it runs already')),
  }
  const named = Object.assign(own, {
    push: (...found: string[]) => faults.push(...found.map((fault) => `${guard.name}: ${fault}`)),
  })
  const url = (verifier.url ?? '').replace(/\/$/, '')
  return { guard, runtime, version, url, complaint: () => '', counts: new Map(), notes: [], faults: named }
}

async function runVectors(trial: GuardTrial, place: Place): Promise<void> {
  const { program, args, env, cwd } = await trial.guard.vectors(place, VECTORS)
  await promisify(execFile)(program, [...args], { env: { ...env }, cwd }).then(
    () => trial.counts.set('vectors', 'all'),
    (error: { stdout: string; stderr: string }) => {
      trial.counts.set('vectors', '**not all**')
      trial.faults.push(`test vectors: ${error.stdout}${error.stderr}`.slice(0, 2000))
    },
  )
}

/** The tokens of the table that a header line can carry, in requests of their own: the whole answer is judged. */
async function hostileLinesOfTable(trial: GuardTrial, { corpus, good }: Table): Promise<void> {
  const port = Number(new URL(trial.url).port)
  const send = (token: string) => rawRequest(port, ['GET / HTTP/1.1', `Authorization: Bearer ${token}`])
  const plain = corpus.filter(({ token }) => /^[\x21-\x7e]{1,4000}$/.test(token) && !token.includes(','))
  for (const attack of plain) {
    const found = faults(await send(attack.token), attack, '')
    if (found.length > 0) trial.faults.push(`${attack.name}: ${found.join('; ')}`)
  }
  for (const { name, token } of good) if ((await send(token)).statusCode !== 200) trial.faults.push(`refused: ${name}`)
  trial.counts.set('requests', String(plain.length))
}

async function keyRevoked(trials: readonly GuardTrial[], { issuer }: Place): Promise<void> {
  const token = await issuer.logIn()
  await issuer.revokeKey(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid)
  const began = performance.now()
  const headers = { authorization: `Bearer ${token}` }
  await Promise.all(
    trials.map(async (trial) => {
      for (let refusals = 0; refusals < 4 && performance.now() - began < KEY_BOUND_MS; await sleep(20))
        refusals = (await get(trial.url, headers)).status === 401 ? refusals + 1 : 0
      const ms = Math.round(performance.now() - began)
      trial.counts.set('key revoked', ms < KEY_BOUND_MS ? `${ms} ms` : '**accepted**')
      if (ms >= KEY_BOUND_MS) trial.faults.push('a token of a revoked key is accepted')
    }),
  )
  const next = { authorization: `Bearer ${await issuer.logIn()}` }
  for (const trial of trials)
    if ((await get(trial.url, next)).status !== 200)
      trial.faults.push('a token of the key after the revoked one is refused')
}

function report(trials: readonly GuardTrial[]): string {
  const head = ['guard', ...COLUMNS]
  const rows = trials.map(({ guard, counts }) => [guard.name, ...COLUMNS.map((column) => counts.get(column) ?? '')])
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
