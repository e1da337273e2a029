import { randomBytes } from 'node:crypto'
import { systemClock } from '../../../src/clock.ts'
import { createBudget, MAX_KEYS } from '../../../src/limits/budget.ts'
import { createPasswordThrottle } from '../../../src/limits/password-throttle.ts'
import { RevocationSet } from '../../../src/revocations/revocation-set.ts'
import type { AccessTokenClaims } from '../../../src/tokens/claims.ts'
import { VerifiedTokens } from '../../../src/tokens/verified-tokens.ts'

// Runs in a process of its own, with --expose-gc: measures the memory of structures that are bounded by a count, filled
// to their bounds.

const collect = globalThis.gc ?? (() => undefined)
const id = (bytes = 16) => randomBytes(bytes).toString('base64url')
const kept: unknown[] = []

/** @returns MiB */
function weigh(fill: () => unknown): string {
  collect()
  const before = process.memoryUsage().heapUsed
  kept.push(fill())
  collect()
  return `${((process.memoryUsage().heapUsed - before) / 2 ** 20).toFixed(0)} MiB`
}

const ROWS: [what: string, weight: string][] = [
  ['verified tokens: 8,200 of 3,900 characters', weigh(() => tokens(8200, 3900, 2048))],
  ['verified tokens: 20,000 of 700 characters', weigh(() => tokens(20_000, 700, 20))],
  ['one table of a rate limit: 50,000 client networks', weigh(networks)],
  ['delays of passwords: 50,000 pairs of account and network', weigh(pairs)],
  ['revocations: 100,000 sessions', weigh(sessions)],
]
for (const [what, weight] of ROWS) console.log(`  ${what}: ${weight}`)

function tokens(count: number, characters: number, scope: number): VerifiedTokens {
  const cache = new VerifiedTokens({ entries: 10_000, characters: 16_000_000 })
  for (let i = 0; i < count; i += 1) {
    const claims = {
      iss: 'http://signet.test',
      aud: 'http://signet.test',
      sub: id(),
      client_id: 'signet',
      jti: id(),
      sid: id(),
    }
    const times = { iat: systemClock(), exp: systemClock() + 600, scope: id(scope).slice(0, scope) }
    const token = id(characters).slice(0, characters)
    cache.put(Buffer.from(token).toString(), {
      kid: 'kid',
      claims: JSON.parse(JSON.stringify({ ...claims, ...times })) as AccessTokenClaims,
    })
  }
  return cache
}

function networks() {
  const budget = createBudget({ limit: 100, window: 60 }, systemClock)
  for (let i = 0; i < MAX_KEYS; i += 1) budget.spend(`2001:db8:${id(4)}:${i}::`)
  return budget
}

function pairs() {
  const off = createBudget({ limit: 0, window: 60 }, systemClock)
  const throttle = createPasswordThrottle({
    delays: { free: 5, longest: 3600 },
    strangers: { account: off, network: off, all: off },
    now: systemClock,
  })
  for (let i = 0; i < MAX_KEYS; i += 1) throttle.begin({ account: id(), network: `2001:db8:${id(4)}:${i}::` })
  return throttle
}

function sessions(): RevocationSet {
  const set = new RevocationSet()
  const expiresAt = systemClock() + 1020
  for (let seq = 0; seq < 100_000; seq += 1)
    set.add({ kind: 'session', subject: id(), minVersion: null, seq, expiresAt })
  return set
}
