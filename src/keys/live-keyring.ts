import type { webcrypto } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { OperatorError } from '../errors/app-error.ts'
import { FolderKeyring } from './folder-keyring.ts'
import type { JwksDocument } from './jwks.ts'
import type { Keyring, Phase } from './keyring.ts'
import type { KeysFolder } from './keys-folder.ts'
import { loadKeys } from './load-keys.ts'
import type { RefreshKey } from './refresh-keys.ts'
import type { RevokedKeyStore } from './revoked-key-store.ts'
import { RevokedKeys } from './revoked-keys.ts'
import { type Timing, unsafePlans } from './rotation.ts'

export interface SigningKey {
  readonly kid: string
  readonly key: webcrypto.CryptoKey
}

/**
 * `stale`: the folder holds something that can't be used, and the previous keyring stays in force. `outdated`: the
 * folder is older than a revocation, and holds a revoked key as if it were good; that key is not used.
 */
export type KeyringState = 'ok' | 'stale' | 'outdated' | 'failed'

/** The keyring as a running server uses it: in memory, and always evaluated at the current instant. */
export interface LiveKeyring {
  /** The SPKI PEM that verifies tokens of this kid now; undefined for a kid that is unknown, retired or revoked. */
  verificationPem(kid: string): string | undefined
  /** Whether the key of this kid was ever revoked. */
  isRevoked(kid: string): boolean
  /** @throws AppError `signing_unavailable` when no key may sign now */
  signingKey(): SigningKey
  /**
   * The HMAC keys of refresh tokens: the one in use and those that are still accepted.
   *
   * @throws AppError `signing_unavailable` when every one was revoked and no other can be read. It is not
   *   `invalid_refresh_token`, which would tell every client to log in again
   */
  refreshKeys(): readonly RefreshKey[]
  jwks(): JwksDocument
  /**
   * Every kid that was ever revoked, sorted, whether or not the folder still knows it: the feed tells verifiers, which
   * may hold an older JWKS.
   */
  revokedKids(): readonly string[]
  /** Seconds for which a cache may keep the JWKS. */
  jwksMaxAge(): number
  state(): KeyringState
  /** The phase of every key of the keyring at this instant. */
  phases(): readonly { readonly phase: Phase; readonly signFrom: number }[]
  /**
   * Reads the folder again, and then the revoked keys of the store. Both reads begin after the call: one that is under
   * way may have begun before a pause of the process. Never throws: what can't be used is reported once, and the
   * previous keyring stays in force.
   */
  reload(): Promise<void>
}

export interface LiveKeyringOptions {
  readonly folder: KeysFolder
  readonly timing: Timing
  /** Lifetime of an access token, in seconds. */
  readonly ttl: number
  readonly now: Clock
  /** Where revoked keys are remembered beyond the folder and this process. Default: nowhere. */
  readonly store?: RevokedKeyStore
  readonly report: (event: KeyringEvent) => void
}

/** What is reported: each change that came into force, and each state of the folder once. */
export type KeyringEvent =
  | { readonly changed: Keyring }
  /** Another key signs from now on. `before` is undefined when none did. */
  | { readonly signs: string; readonly before: string | undefined }
  | { readonly unusable: Error }
  /** Signing keys (kid) and refresh keys (id) that are revoked, and that the folder holds as if they were good. */
  | { readonly outdated: readonly string[] }
  /** The store can't be asked which keys were revoked; those that are known stay revoked. */
  | { readonly storeLost: Error }

/**
 * Loads the keyring and every private half that may still sign.
 *
 * @throws OperatorError when no key in the folder can sign, when one can't be used, when the settings make a plan
 *   unsafe, or when the store can't say which keys were revoked: a server must not find that out at the first login
 */
export async function openLiveKeyring(options: LiveKeyringOptions): Promise<LiveKeyring> {
  const { folder, timing, ttl, now } = options
  const revoked = new RevokedKeys(options.store)
  await revoked.sync().catch((cause) => {
    throw new OperatorError(`DATABASE_URL: can't read which keys were revoked: ${cause.message}`, { cause })
  })
  const keyring = new FolderKeyring(options, revoked, await loadKeys(folder, revoked, now()))
  const [unsafe] = unsafePlans(keyring.entries, now(), timing, ttl)
  if (unsafe !== undefined)
    throw new OperatorError(`keys: ${unsafe}`, { hint: 'go back to the old setting until that key signs' })
  await keyring.reload() // reports an outdated folder, and tells the store what the folder knows
  return keyring
}
