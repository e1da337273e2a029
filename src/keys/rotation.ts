import { MAX_ACCESS_TOKEN_TTL_SECONDS, MAX_CLOCK_SKEW_SECONDS } from '../config/ceilings.ts'
import type { Config } from '../config/config.ts'
import { OperatorError } from '../errors/app-error.ts'
import type { PublicJwk } from './jwk.ts'
import { firstEntry, isPublished, type KeyEntry, type Keyring, phase, UNDATED } from './keyring.ts'

// The rules of change: old keyring in, new keyring out. No files, no clock.

/** Within this time, a change of the manifest is in force on every node. */
export const RELOAD_INTERVAL_SECONDS = 3

/**
 * How long a key still verifies after it stopped signing: by then every token that it signed has expired, whatever the
 * settings.
 */
export const VERIFY_TAIL_SECONDS = MAX_ACCESS_TOKEN_TTL_SECONDS + MAX_CLOCK_SKEW_SECONDS
/** Extra time for verifiers that cache longer than `max-age` says. */
export const DEFAULT_LEAD_SECONDS = 15 * 60

/** The settings that a plan depends on, in seconds. */
export interface Timing {
  readonly jwksMaxAge: number
  readonly skew: number
}

export const keyTiming = (config: Config): Timing => ({ jwksMaxAge: config.JWKS_MAX_AGE, skew: config.CLOCK_SKEW })

/**
 * The shortest safe time in seconds between the publication of a key and its first signature. A verifier that fetched
 * the JWKS just before the publication must have to fetch it again before it can receive a token of the new key.
 */
export function minimumLead({ jwksMaxAge, skew }: Timing): number {
  return jwksMaxAge + RELOAD_INTERVAL_SECONDS + skew
}

/**
 * The shortest safe lead in seconds for a key that has been in the JWKS for `publishedFor` seconds already. Every
 * server must have read the plan before the key signs.
 */
export function shortestLead(publishedFor: number, timing: Timing): number {
  return Math.max(minimumLead(timing) - Math.max(0, publishedFor), RELOAD_INTERVAL_SECONDS + timing.skew)
}

export function defaultLead(timing: Timing): number {
  return Math.max(DEFAULT_LEAD_SECONDS, minimumLead(timing))
}

/** The key that is published and has the date of its first signature, if there is one. */
export function waitingKey(keyring: Keyring, now: number): KeyEntry | undefined {
  return keyring.find((entry) => phase(entry, now) === 'next')
}

/** The key that is published and has no date yet: it is there for the next rotation, or for an emergency. */
export function standbyKey(keyring: Keyring, now: number): KeyEntry | undefined {
  return keyring.find((entry) => phase(entry, now) === 'standby')
}

export function signingKey(keyring: Keyring, now: number): KeyEntry | undefined {
  return keyring.find((entry) => phase(entry, now) === 'current')
}

/**
 * The key that takes over when the current one is revoked: of those that wait, the one that has been published for the
 * longest. Most caches have it.
 */
export function heirOf(keyring: Keyring, now: number): KeyEntry | undefined {
  return keyring
    .filter((entry) => ['next', 'standby'].includes(phase(entry, now)))
    .sort((a, b) => a.publish_at - b.publish_at || byStart(a, b))[0]
}

/**
 * Plans the next key: it signs from `now + lead`. The current key stops signing at that second, and verifies until the
 * last of its tokens has expired. It is one plan: no second step is needed. When no key signs, the next one does so at
 * once.
 *
 * @param jwk the standby key, or a new one, which is published now. A standby key that is not the next stays what it is
 * @param now epoch seconds
 * @param lead seconds; 0 for a key that signs at once
 * @throws TypeError when a key waits for its date already: the caller must check first
 */
export function planRotation(keyring: Keyring, jwk: PublicJwk, now: number, lead: number): Keyring {
  if (waitingKey(keyring, now)) throw new TypeError('planRotation: a next key waits already')
  const standby = standbyKey(keyring, now)
  const others = standby === undefined ? keyring : unlink(keyring, standby)
  const next = standby?.kid === jwk.kid ? standby : firstEntry(jwk, now)
  const signFrom = signingKey(others, now) === undefined ? now : now + lead
  const planned = append(others, { ...next, sign_from: Math.max(signFrom, next.publish_at) })
  return standby === undefined || next === standby ? planned : append(planned, standby)
}

/**
 * Adds a standby key: published now, without a date.
 *
 * @param now epoch seconds
 * @throws TypeError when there is one already: the caller must check first
 */
export function planStandby(keyring: Keyring, jwk: PublicJwk, now: number): Keyring {
  if (standbyKey(keyring, now)) throw new TypeError('planStandby: there is a standby key already')
  return append(keyring, { ...firstEntry(jwk, now), sign_from: UNDATED })
}

/**
 * Revokes a key at once: what it signed is refused from now on. When it was the current key, its heir takes its place
 * in the same second, or else `successor`.
 *
 * @param now epoch seconds
 * @param successor a new key, for when none waits; undefined leaves the service without a signing key
 * @throws OperatorError when there is no such key, or it is revoked already
 */
export function planRevocation(keyring: Keyring, kid: string, now: number, successor: PublicJwk | undefined): Keyring {
  const revoked = keyring.find((entry) => entry.kid === kid)
  if (revoked === undefined) throw new OperatorError(`there is no key ${kid}`, { hint: 'npm run keys -- list' })
  const was = phase(revoked, now)
  if (was === 'revoked') throw new OperatorError(`key ${kid} is revoked already`)

  if (was === 'next' || was === 'standby') {
    // It never signed: its interval becomes empty, and the key before it goes on as if nothing had been planned.
    const { sign_from } = revoked
    return [
      ...unlink(keyring, revoked),
      { ...revoked, sign_until: sign_from, verify_until: sign_from, revoked_at: now },
    ]
  }
  const others = keyring.filter((entry) => entry !== revoked)
  if (was !== 'current') return [...others, { ...revoked, revoked_at: now }].sort(byStart)

  const ended = { ...revoked, sign_until: now, verify_until: now, revoked_at: now }
  const heir = heirOf(keyring, now)
  if (heir === undefined) {
    return [...others, ended, ...(successor === undefined ? [] : [firstEntry(successor, now)])].sort(byStart)
  }
  // The heir gets the end that the revoked key has when the heir's own interval is taken out.
  const chain = unlink(keyring, heir)
  const { sign_until, verify_until } = chain.find((entry) => entry.kid === kid) ?? ended
  const begun = { ...heir, sign_from: Math.max(now, heir.publish_at), sign_until, verify_until }
  return [...chain.filter((entry) => entry.kid !== kid), ended, begun].sort(byStart)
}

/** Takes a waiting key out: the key before it signs until the one after it begins. */
function unlink(keyring: Keyring, taken: KeyEntry): KeyEntry[] {
  const { sign_until, verify_until } = taken
  const isBefore = (entry: KeyEntry) => entry.sign_until === taken.sign_from && entry.sign_from < taken.sign_from
  return keyring
    .filter((entry) => entry !== taken)
    .map((entry) => (isBefore(entry) ? { ...entry, sign_until, verify_until } : entry))
}

/** Adds a key at the end: the one that had no end stops signing when it begins. */
function append(keyring: Keyring, last: KeyEntry): KeyEntry[] {
  const ends = { sign_until: last.sign_from, verify_until: last.sign_from + VERIFY_TAIL_SECONDS }
  const before = keyring.map((entry) => (entry.sign_until === null ? { ...entry, ...ends } : entry))
  return [...before, { ...last, sign_until: null, verify_until: null }]
}

/** Keys whose private half is needed no more, with extra time for a node whose clock is behind. */
export function stoppedSigning(keyring: Keyring, now: number): KeyEntry[] {
  return keyring.filter(
    ({ sign_until, revoked_at }) =>
      revoked_at !== null || (sign_until !== null && sign_until + MAX_CLOCK_SKEW_SECONDS <= now),
  )
}

/**
 * The keyring without the entries whose tokens have all expired. A revoked entry stays, so that the key can never come
 * back, for example by an import.
 */
export function withoutDeadKeys(keyring: Keyring, now: number): Keyring {
  return keyring.filter(({ verify_until, revoked_at }) => {
    return revoked_at !== null || verify_until === null || verify_until + MAX_CLOCK_SKEW_SECONDS > now
  })
}

/**
 * What is wrong with a keyring whatever the settings: the instants of a key out of order, or a second in which not
 * exactly one key signs. A manifest with any of these is not loaded.
 */
export function brokenInvariants(keyring: Keyring): string[] {
  const problems: string[] = []
  for (const { kid, publish_at, sign_from, sign_until, verify_until } of keyring) {
    if (publish_at > sign_from) problems.push(`${kid} signs before it is published`)
    if (sign_until !== null && sign_until < sign_from) problems.push(`${kid} stops signing before it starts`)
    if ((sign_until === null) !== (verify_until === null))
      problems.push(`${kid} must have both sign_until and verify_until, or neither`)
    if (sign_until !== null && verify_until !== null && verify_until < sign_until)
      problems.push(`${kid} stops verifying while it signs`)
  }
  const chain = keyring.filter(({ sign_from, sign_until }) => sign_until !== sign_from).sort(byStart)
  chain.forEach((entry, index) => {
    const next = chain[index + 1]
    if (next === undefined || entry.sign_until === next.sign_from) return
    const emergency = entry.revoked_at !== null && entry.sign_until !== null && entry.sign_until < next.sign_from
    if (!emergency) {
      problems.push(`${next.kid} must start signing in the second in which ${entry.kid} stops`)
    }
  })
  return problems
}

/**
 * The plans that the present settings make unsafe: refused at boot and by `check`.
 *
 * @param ttl lifetime of an access token, in seconds
 */
export function unsafePlans(keyring: Keyring, now: number, timing: Timing, ttl: number): string[] {
  const problems: string[] = []
  const minimum = minimumLead(timing)
  for (const entry of keyring) {
    const lead = entry.sign_from - entry.publish_at
    if (phase(entry, now) === 'next' && lead < minimum) {
      problems.push(
        `${entry.kid} is published ${lead} s before it signs, and JWKS_MAX_AGE and CLOCK_SKEW ask for ${minimum} s`,
      )
    }
    const { sign_until, verify_until, revoked_at } = entry
    const tail = (verify_until ?? 0) - (sign_until ?? 0)
    if (sign_until !== null && sign_until > now && revoked_at === null && tail < ttl + timing.skew) {
      problems.push(
        `${entry.kid} verifies for ${tail} s after it signed, and ` +
          `ACCESS_TOKEN_TTL and CLOCK_SKEW ask for ${ttl + timing.skew} s`,
      )
    }
  }
  return problems
}

/**
 * The seconds for which a cache may keep the present JWKS: the setting, or less when a key that is not in it yet will
 * sign sooner.
 */
export function jwksMaxAge(keyring: Keyring, now: number, { jwksMaxAge: setting, skew }: Timing): number {
  const deadlines = keyring
    .filter((entry) => !isPublished(entry, now) && entry.revoked_at === null)
    .map(({ sign_from }) => sign_from - skew - now)
  return Math.max(0, Math.min(setting, ...deadlines))
}

function byStart(a: KeyEntry, b: KeyEntry): number {
  return a.sign_from - b.sign_from
}
