import { type Static, Type } from '@sinclair/typebox'
import { MAX_CLOCK_SKEW_SECONDS } from '../config/ceilings.ts'
import { type PublicJwk, PublicJwk as PublicJwkSchema } from './jwk.ts'

// Pure: no files, no clock. Instants are epoch seconds here and RFC 3339 strings in the manifest (manifest.ts).

const Instant = Type.Integer({ minimum: 0 })

/**
 * One signing key and the instants of its life. Every state follows from these and the clock:
 * next -> current -> previous -> retired, or revoked.
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

export type Phase = 'next' | 'current' | 'previous' | 'retired' | 'revoked'

/** The state of a key at an instant, from what is written in its entry alone. */
export function phase(entry: KeyEntry, now: number): Phase {
  // Not a plan but an event: a node whose clock is behind must not go on with the key until it catches up.
  if (entry.revoked_at !== null) return 'revoked'
  if (entry.verify_until !== null && entry.verify_until <= now) return 'retired'
  if (entry.sign_until !== null && entry.sign_until <= now) return 'previous'
  if (entry.sign_from <= now) return 'current'
  return 'next'
}

/** What a server does with a keyring from one instant to the next. */
export interface KeyringView {
  /** Signs now: the current key, or when none has begun yet (a clock behind the one that wrote the plan) the first that will. */
  readonly current: KeyEntry | undefined
  /** In the JWKS, and accepted when verifying: next, current and previous. A next key verifies because another node's clock may be ahead. */
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
    // What signs is published whatever the plan says: a clock may have been set back to before the key was made.
    published: keyring.filter(
      (entry) =>
        (entry === current || isPublished(entry, now)) && ['next', 'current', 'previous'].includes(phase(entry, now)),
    ),
    validFrom: Math.max(0, ...instants.filter((instant) => instant <= now)),
    validUntil: Math.min(Number.POSITIVE_INFINITY, ...instants.filter((instant) => instant > now)),
  }
}

/** Early rather than late: on a node whose clock is behind, a key may already sign elsewhere. */
export function isPublished({ publish_at }: KeyEntry, now: number): boolean {
  return publish_at - MAX_CLOCK_SKEW_SECONDS <= now
}

function firstToBegin(keyring: Keyring, now: number): KeyEntry | undefined {
  return keyring.filter((entry) => phase(entry, now) === 'next').sort((a, b) => a.sign_from - b.sign_from)[0]
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
