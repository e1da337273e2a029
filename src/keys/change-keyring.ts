import type { KeyObject } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { OperatorError } from '../errors/app-error.ts'
import type { KeyEntry, Keyring } from './keyring.ts'
import { deleteFile, type KeysFolder, unfinishedPath } from './keys-folder.ts'
import { withKeysLock } from './keys-lock.ts'
import { adoptPrivateKeys, lacksStandby, leaveStandby, newKey } from './make-keys.ts'
import { readKeyring, writeKeyring } from './manifest.ts'
import { type Bits, deletePrivateKeys, generatePrivateKey, storedKids, storePrivateKey } from './private-keys.ts'
import { assertPassphraseFits, ensureRefreshKey, readRefreshKeys } from './refresh-keys.ts'
import { deleteRevokedRefreshKeys } from './revoked-refresh-keys.ts'
import {
  heirOf,
  planRevocation,
  planRotation,
  planStandby,
  signingKey,
  standbyKey,
  stoppedSigning,
  waitingKey,
  withoutDeadKeys,
} from './rotation.ts'

// The only functions that change a keyring: the scripts and the first boot use them. Each takes the lock, reads the
// folder again, and writes in this order, so that a crash at any point leaves a folder that loads: new private key,
// manifest, deletion of old private keys, and at last the private key and the manifest with a new standby key.

/** How long to wait for another process that holds the lock, where giving up at once would be worse. */
const LOCK_TIMEOUT_SECONDS = 10

export interface Changed {
  readonly keyring: Keyring
  /** What was deleted on the way. */
  readonly tidied: Tidied
}

export interface Tidied {
  /** Kids of entries whose tokens have all expired. */
  readonly entries: readonly string[]
  /**
   * Kids of private keys that were deleted: keys that stopped signing, and keys that are in no manifest, left by a run
   * that was killed.
   */
  readonly privateKeys: readonly string[]
}

/** A change that leaves a standby key behind. */
export type ChangedWithStandby = Changed & {
  /** The standby key that this run made; undefined when there was one already. */
  readonly standby: KeyEntry | undefined
}

type Planned =
  | { readonly planned: KeyEntry }
  | { readonly planned: undefined; readonly because: 'waiting' | 'young'; readonly entry: KeyEntry }

export type RotationOutcome = ChangedWithStandby & Planned

interface RotationOptions {
  readonly now: Clock
  /** Seconds until the first signature. */
  readonly lead: number
  /** Throws when the lead is too short for a key that has been in the JWKS for so many seconds. */
  readonly assertLead?: ((publishedFor: number) => void) | undefined
  readonly bits: Bits
  /** Seconds: nothing is planned while the current key has signed for less. */
  readonly ifOlderThan?: number | undefined
  /** An existing private key instead of the standby key. */
  readonly key?: KeyObject | undefined
}

/**
 * Plans the next key, or says why there is nothing to do. The standby key becomes the next one, and a new standby key
 * is published in its place. A standby key that is missing is made in any case.
 *
 * @throws OperatorError when another process holds the lock, or the folder can't be read or written
 */
export async function rotateKeys(folder: KeysFolder, options: RotationOptions): Promise<RotationOutcome> {
  return withKeysLock(folder, async () => {
    const outcome = await planNext(folder, options)
    const { keyring, standby = outcome.standby } = await leaveStandby(folder, outcome.keyring, options)
    return { ...outcome, keyring, standby }
  })
}

/** Writes the plan and the next standby key in one manifest: to servers and to the trail a rotation is one change. */
async function planNext(
  folder: KeysFolder,
  options: RotationOptions,
): Promise<Changed & Planned & { readonly standby?: KeyEntry | undefined }> {
  const { now, lead, assertLead, bits, ifOlderThan = 0 } = options
  const found = await readKeyring(folder)
  await readRefreshKeys(folder) // another passphrase, or a damaged file, is found before anything is changed
  const before = found.length === 0 ? await adoptPrivateKeys(folder, now()) : found
  const adopted = signingKey(before, now())
  if (found.length === 0 && adopted && options.key === undefined) {
    return { planned: adopted, ...(await tidy(folder, before, now)) }
  }
  const waiting = waitingKey(before, now())
  if (waiting) return { planned: undefined, because: 'waiting', entry: waiting, ...(await tidy(folder, before, now)) }
  const current = signingKey(before, now())
  if (current && now() - current.sign_from < ifOlderThan) {
    return { planned: undefined, because: 'young', entry: current, ...(await tidy(folder, before, now)) }
  }
  const standby = options.key === undefined ? standbyKey(before, now()) : undefined
  if (current) assertLead?.(standby === undefined ? 0 : now() - standby.publish_at)
  const { keyring, tidied } = await tidy(folder, before, now)
  const jwk = standby?.jwk ?? (await newKey(folder, before, options.key, bits))
  const needsSpare = options.key === undefined || standbyKey(before, now()) === undefined
  const spare = needsSpare ? await storePrivateKey(folder, await generatePrivateKey(bits)) : undefined
  const instant = now() // read after key generation, which is slow
  const rotated = planRotation(keyring, jwk, instant, lead)
  const planned = spare ? planStandby(rotated, spare, instant) : rotated
  await writeKeyring(folder, planned)
  const [next, made] = [jwk, spare].map((key) => planned.find(({ kid }) => kid === key?.kid))
  return { keyring: planned, tidied, planned: next as KeyEntry, standby: made }
}

export type Revoked = ChangedWithStandby & {
  readonly signs: KeyEntry | undefined
  /** True when `signs` takes the place of the revoked key. */
  readonly tookOver: boolean
  /** Why no standby key could be made; the revocation is in force all the same. */
  readonly standbyError: OperatorError | undefined
}

/**
 * Revokes a key at once; its private half is deleted. When it was the current key, a key that is published already
 * takes over. Then a new standby key is made if none is left.
 *
 * @param options.successor false: no new key is made
 * @param options.unpublishedSuccessor allows that a new key takes over which no cache has, when no published key waits
 * @param options.force allows that no key signs any more
 * @throws OperatorError when there is no such key, nothing would sign any more, or no published key waits
 */
export async function revokeKey(
  folder: KeysFolder,
  kid: string,
  options: { now: Clock; bits: Bits; successor: boolean; unpublishedSuccessor?: boolean; force: boolean },
): Promise<Revoked> {
  const { now, bits, successor, unpublishedSuccessor = false, force } = options
  const work = async () => {
    const before = await readKeyring(folder)
    const instant = now()
    const tookOver = signingKey(before, instant)?.kid === kid
    const needsSuccessor = tookOver && heirOf(before, instant) === undefined
    if (needsSuccessor && !successor && !force) {
      throw new OperatorError('no key would sign any more, and every login would fail', {
        hint: 'leave --no-successor out, or add --force',
      })
    }
    if (needsSuccessor && successor && !unpublishedSuccessor) throw noPublishedKey()
    if (needsSuccessor && successor) await assertPassphraseFits(folder)
    const jwk = needsSuccessor && successor ? await storePrivateKey(folder, await generatePrivateKey(bits)) : undefined
    const planned = planRevocation(before, kid, now(), jwk)
    await writeKeyring(folder, planned) // the revocation first: making a standby key takes time, and may fail
    const { keyring, tidied } = await tidy(folder, planned, now)
    const left = successor
      ? await leaveStandby(folder, keyring, { now, bits }).catch(notMade)
      : { keyring, standby: undefined }
    return { keyring, standbyError: undefined, ...left, tidied, tookOver, signs: signingKey(keyring, now()) }
  }
  return withKeysLock(folder, work, LOCK_TIMEOUT_SECONDS) // in an emergency, waiting is better than failing
}

function noPublishedKey(): OperatorError {
  return new OperatorError('no published key waits: a new one would sign that no cache of the JWKS has', {
    hint:
      'run `npm run keys -- rotate` first, which publishes one, and revoke as soon as the caches have it ' +
      '(JWKS_MAX_AGE); or accept that other services refuse new tokens until then: --unpublished-successor',
  })
}

function notMade(error: unknown): { standby: undefined; standbyError: OperatorError } {
  if (error instanceof OperatorError) return { standby: undefined, standbyError: error }
  throw error
}

/**
 * Deletes expired entries, private halves that no longer sign, and what a killed run left.
 *
 * @throws OperatorError when another process holds the lock, or the folder can't be read or written
 */
export function pruneKeys(folder: KeysFolder, now: Clock): Promise<Changed> {
  return withKeysLock(folder, async () => tidy(folder, await readKeyring(folder), now))
}

/**
 * Makes the first signing key, the standby key and the first refresh key of a folder, as far as they are missing.
 *
 * @returns the kid of the new signing key, or undefined when there was one already
 * @throws OperatorError when the folder can't be read or written, or holds many private keys and no manifest
 */
export async function makeFirstKey(folder: KeysFolder, now: Clock): Promise<string | undefined> {
  const keyring = await readKeyring(folder)
  const serves = keyring.length > 0 && (await readRefreshKeys(folder)).length > 0
  if (serves && !lacksStandby(keyring, now())) return undefined
  const made = withKeysLock(folder, () => makeMissingKeys(folder, now), LOCK_TIMEOUT_SECONDS)
  // Without a standby key a server can serve: a folder that can't be written is no reason not to start.
  return serves ? made.catch(() => undefined) : made
}

async function makeMissingKeys(folder: KeysFolder, now: Clock): Promise<string | undefined> {
  await ensureRefreshKey(folder, now)
  const found = await readKeyring(folder)
  const before = found.length === 0 ? await adoptPrivateKeys(folder, now()) : found
  if (before.length > 0) {
    await leaveStandby(folder, before, { now, bits: 2048 })
    return found.length > 0 ? undefined : signingKey(before, now())?.kid
  }
  const jwk = await newKey(folder, [], undefined, 2048)
  const first = planRotation([], jwk, now(), 0)
  await writeKeyring(folder, first)
  await leaveStandby(folder, first, { now, bits: 2048 })
  return jwk.kid
}

async function tidy(folder: KeysFolder, before: Keyring, now: Clock): Promise<Changed> {
  const instant = now()
  const keyring = withoutDeadKeys(before, instant)
  const stopped = stoppedSigning(before, instant).map(({ kid }) => kid)
  const known = before.map(({ kid }) => kid)
  // Without a manifest nothing counts as expired: it may have been lost, and the private keys are all that is left.
  const privateKeys =
    before.length === 0 ? [] : (await storedKids(folder)).filter((kid) => stopped.includes(kid) || !known.includes(kid))

  if (keyring.length < before.length) await writeKeyring(folder, keyring)
  await deleteFile(unfinishedPath(folder))
  await deletePrivateKeys(folder, privateKeys)
  await deleteRevokedRefreshKeys(folder)
  await ensureRefreshKey(folder, now)
  const entries = before.filter((entry) => !keyring.includes(entry)).map(({ kid }) => kid)
  return { keyring, tidied: { entries, privateKeys } }
}
