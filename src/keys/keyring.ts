/**
 * Signing keys and refresh keys: their life as pure plans (`keyring.ts`, `rotation.ts`), the folder on disk, the one
 * door through which it changes (`change-keyring.ts`), the live copy that a server uses, and the memory of what was
 * ever revoked (`revoked-keys.ts`). What is signed with a key belongs to `tokens/` and `revocations/`.
 */

import { type Static, Type } from '@sinclair/typebox'
import { MAX_CLOCK_SKEW_SECONDS } from '../config/ceilings.ts'
import { type PublicJwk, PublicJwk as PublicJwkSchema } from './jwk-schema.ts'

// Pure: no files, no clock. Instants are epoch seconds here and RFC 3339 strings in the manifest (manifest.ts).

const Instant = Type.Integer({ minimum: 0 })

/**
 * `sign_from` of a standby key, which is published and has no date yet: the first second of the year 9999. It is an
 * instant like every other, so the key before it stops signing in that second, and a server that knows no standby keys
 * reads the same manifest as a rotation that is planned for that year.
 */
export const UNDATED = Date.UTC(9999, 0, 1) / 1000

/**
 * One signing key and the instants of its life. Every state follows from these and the clock:
 * standby -> next -> current -> previous -> retired, or revoked.
 */
export const KeyEntry = Type.Object(
  {
    kid: Type.String(),
    jwk: PublicJwkSchema,
    created_at: Instant,
    publish_at: Instant,
    sign_from: Instant,
    sign_until: Type.Union([Instant, Type.Null()], { description: "the successor's sign_from, once there is one" }),
    verify_until: Type.Union([Instant, Type.Null()]),
    revoked_at: Type.Union([Instant, Type.Null()]),
  },
  { additionalProperties: false },
)
export type KeyEntry = Static<typeof KeyEntry>
export type Keyring = readonly KeyEntry[]

export type Phase = 'standby' | 'next' | 'current' | 'previous' | 'retired' | 'revoked'

/** The state of a key at an instant, from what is written in its entry alone. */
export function phase(entry: KeyEntry, now: number): Phase {
  // Not a plan but an event: a node whose clock is behind must not go on with the key until it catches up.
  if (entry.revoked_at !== null) return 'revoked'
  if (entry.verify_until !== null && entry.verify_until <= now) return 'retired'
  if (entry.sign_until !== null && entry.sign_until <= now) return 'previous'
  if (entry.sign_from <= now) return 'current'
  return entry.sign_from >= UNDATED ? 'standby' : 'next'
}

/** What a server does with a keyring from one instant to the next. */
export interface KeyringView {
  /**
   * The key that signs now: the current one. If none is current (this clock is behind the clock of the node that wrote
   * the plan, or the folder is older than the revocation of its current key), the first that will be.
   */
  readonly current: KeyEntry | undefined
  /**
   * The keys that are in the JWKS and verify tokens: standby, next, current and previous. A next key verifies because
   * another node's clock may be ahead.
   */
  readonly published: readonly KeyEntry[]
  /** The view holds for `validFrom <= now < validUntil`. */
  readonly validFrom: number
  readonly validUntil: number
}

export function viewAt(keyring: Keyring, now: number): KeyringView {
  const instants = keyring.flatMap(({ publish_at, sign_from, sign_until, verify_until }) =>
    [publish_at - MAX_CLOCK_SKEW_SECONDS, sign_from, sign_until, verify_until].filter((instant) => instant !== null),
  )
  const current = keyring.find((entry) => phase(entry, now) === 'current') ?? firstToBegin(keyring, now)
  return {
    current,
    // The signing key is published whatever the plan says: the clock may have been set back to before the key was made.
    published: keyring.filter(
      (entry) => (entry === current || isPublished(entry, now)) && !['retired', 'revoked'].includes(phase(entry, now)),
    ),
    validFrom: Math.max(0, ...instants.filter((instant) => instant <= now)),
    validUntil: Math.min(Number.POSITIVE_INFINITY, ...instants.filter((instant) => instant > now)),
  }
}

/**
 * A key is published early rather than late: when the clock of this node is behind, another node may already sign with
 * the key.
 */
export function isPublished({ publish_at }: KeyEntry, now: number): boolean {
  return publish_at - MAX_CLOCK_SKEW_SECONDS <= now
}

function firstToBegin(keyring: Keyring, now: number): KeyEntry | undefined {
  const waiting = keyring.filter((entry) => ['next', 'standby'].includes(phase(entry, now)))
  return waiting.sort((a, b) => a.sign_from - b.sign_from)[0]
}

/** The first key of an empty keyring: published and signing at once, because nobody can hold an older JWKS. */
export function firstEntry(jwk: PublicJwk, now: number): KeyEntry {
  return {
    kid: jwk.kid,
    jwk,
    created_at: now,
    publish_at: now,
    sign_from: now,
    sign_until: null,
    verify_until: null,
    revoked_at: null,
  }
}
