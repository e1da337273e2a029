import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import argon2 from 'argon2'
import pLimit from 'p-limit'
import type { Config } from '../config/config.ts'
import { AppError } from '../errors/app-error.ts'
import { createFairShare } from '../limits/fair-share.ts'
import { tooMany } from '../limits/limiter.ts'
import { normalisePassword } from './password-rules.ts'

export interface HashCost {
  /** In KiB. */
  readonly memory: number
  readonly passes: number
}

/** How many hashes may run at a time, and how many may wait for their turn. */
export interface HashGate {
  readonly running: number
  readonly waiting: number
}

export const hashCost = (config: Config): HashCost => ({
  memory: config.PASSWORD_HASH_MEMORY,
  passes: config.PASSWORD_HASH_PASSES,
})

/**
 * One hash per core, counted over all workers, and at most three of the four threads of libuv's pool: signing tokens
 * needs one too.
 */
export const hashGate = (config: Config): HashGate => ({
  running: Math.min(Math.max(1, Math.floor(availableParallelism() / config.WORKERS)), 3),
  waiting: config.PASSWORD_QUEUE,
})

/** A network that holds its share may ask again after so long: the time of some ten hashes. */
const SHARE_RETRY_SECONDS = 1

/** True once the client has closed its connection: work that still waits is then dropped. */
export type IsGone = () => boolean

/** For whom a password is hashed. */
export interface HashFor {
  /** The network that asks, as `networkOf` names it: it gets only its share of the queue. Scripts have none. */
  readonly network?: string
  readonly isGone?: IsGone
}

export interface Passwords {
  /** @throws AppError as `verify` */
  hash(password: string, by?: HashFor): Promise<string>
  /**
   * Compares a password with a stored hash. Without a hash (an unknown account) it does the same work on a decoy and
   * returns false, so that the time does not tell who has an account.
   *
   * @throws AppError `overloaded` when the queue is full or the client left, `too_many_requests` when the network holds
   *   its share of the queue, `validation_failed` for text that is not well-formed
   */
  verify(password: string, storedHash: string | undefined, by?: HashFor): Promise<boolean>
  /** True when the hash was made at another cost than the present one. */
  needsRehash(storedHash: string): boolean
  /** How many hashes are running and waiting now. */
  gate(): HashGate
  /** The error with which the next hash for this network would be refused, if it would be. */
  refusal(network?: string): AppError | undefined
}

/**
 * argon2id behind a gate. Every hash takes a core and 19 MiB (by default): without a bound, a storm of logins would
 * take the whole machine. No network holds more than its share of the gate, so a storm from one network leaves room for
 * the logins of all others.
 *
 * @param gate beyond `waiting` a hash is refused at once with AppError `overloaded` (503, Retry-After)
 * @param waited called for every hash when its turn comes, with the seconds that it waited
 */
export function createPasswords(cost: HashCost, gate: HashGate, waited?: (seconds: number) => void): Passwords {
  const options = { type: argon2.argon2id, memoryCost: cost.memory, timeCost: cost.passes, parallelism: 1 } as const
  const limit = pLimit(gate.running)
  const places = createFairShare(gate.running + gate.waiting)
  const refusal = (network?: string): AppError | undefined => {
    const why = places.refusal(network)
    if (why === 'full') return new AppError('overloaded', { reason: 'the queue for password hashing is full' })
    return why && tooMany(SHARE_RETRY_SECONDS, 'share of the queue for password hashing')
  }
  const behindGate = async <T>(work: () => Promise<T>, { network, isGone }: HashFor = {}): Promise<T> => {
    const refused = refusal(network)
    if (refused !== undefined) throw refused
    const arrived = performance.now()
    places.take(network)
    try {
      return await limit(() => {
        waited?.((performance.now() - arrived) / 1000)
        // Clients that give up and retry would otherwise fill the queue with hashes that nobody waits for.
        if (isGone?.())
          throw new AppError('overloaded', { reason: 'the client disconnected before its password was hashed' })
        return work()
      })
    } finally {
      places.leave(network)
    }
  }
  const decoy = decoyHash(cost)

  return {
    hash: (password, by) => behindGate(async () => argon2.hash(normalisePassword(password), options), by),
    verify: (password, storedHash, by) =>
      behindGate(async () => {
        const normalised = normalisePassword(password)
        const matches = await argon2.verify(storedHash ?? decoy, normalised)
        // A hash of a lower cost than today's is refused faster than an unknown account: do today's work too.
        if (!matches && storedHash !== undefined && argon2.needsRehash(storedHash, options))
          await argon2.verify(decoy, normalised)
        return matches && storedHash !== undefined
      }, by),
    needsRehash: (storedHash) => argon2.needsRehash(storedHash, options),
    gate: () => ({ running: limit.activeCount, waiting: limit.pendingCount }),
    refusal,
  }
}

/**
 * A hash that no password has: random bytes stand where the result would. To compare a password with it takes the same
 * work as with a real one, and it costs the boot no work.
 */
function decoyHash({ memory, passes }: HashCost): string {
  const random = (bytes: number) => randomBytes(bytes).toString('base64').replaceAll('=', '')
  return `$argon2id$v=19$m=${memory},p=1,t=${passes}$${random(16)}$${random(32)}`
}
