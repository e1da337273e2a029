import type { KeyObject } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { OperatorError } from '../errors/app-error.ts'
import { publicJwk } from './jwk.ts'
import type { KeyEntry, Keyring } from './keyring.ts'
import { deleteFile, type KeysFolder, unfinishedPath } from './keys-folder.ts'
import { withKeysLock } from './keys-lock.ts'
import { manifestPath, readKeyring, writeKeyring } from './manifest.ts'
import {
  type Bits,
  deletePrivateKeys,
  generatePrivateKey,
  readPrivateKey,
  storedKids,
  storePrivateKey,
} from './private-keys.ts'
import { assertPassphraseFits, ensureRefreshKey, readRefreshKeys } from './refresh-keys.ts'
import { planRevocation, planRotation, signingKey, stoppedSigning, waitingKey, withoutDeadKeys } from './rotation.ts'

// The only functions that change a keyring: the scripts and the first boot use them. Each takes the lock, reads the
// folder again, and writes in this order, so that a crash at any point leaves a folder that loads: new private key,
// manifest, deletion of old private keys.

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

export type RotationOutcome = Changed &
  (
    | { readonly made: KeyEntry }
    | { readonly made: undefined; readonly because: 'waiting' | 'young'; readonly entry: KeyEntry }
  )

/**
 * Plans the next key, or says why there is nothing to do.
 *
 * @param options.lead seconds from publication to the first signature
 * @param options.ifOlderThan seconds: nothing is done while the current key has signed for less
 * @param options.key an existing private key instead of a new one
 * @throws OperatorError when another process holds the lock, or the folder can't be read or written
 */
export async function rotateKeys(
  folder: KeysFolder,
  options: { now: Clock; lead: number; bits: Bits; ifOlderThan?: number | undefined; key?: KeyObject | undefined },
): Promise<RotationOutcome> {
  const { now, lead, bits, ifOlderThan = 0 } = options
  return withKeysLock(folder, async () => {
    const before = await readKeyring(folder)
    await readRefreshKeys(folder) // another passphrase, or a damaged file, is found before anything is changed
    const waiting = waitingKey(before, now())
    if (waiting) return { made: undefined, because: 'waiting', entry: waiting, ...(await tidy(folder, before, now)) }
    const current = signingKey(before, now())
    if (current && now() - current.sign_from < ifOlderThan) {
      return { made: undefined, because: 'young', entry: current, ...(await tidy(folder, before, now)) }
    }
    const { keyring, tidied } = await tidy(folder, before, now)
    const leftover = before.length === 0 ? await leftoverPrivateKey(folder) : undefined
    const key = options.key ?? leftover ?? (await generatePrivateKey(bits))
    const { kid } = publicJwk(key)
    if (before.some((entry) => entry.kid === kid))
      throw new OperatorError(`key ${kid} is in this keyring already`, { hint: 'a key is never used twice' })
    const jwk = key === leftover ? publicJwk(key) : await storePrivateKey(folder, key)
    const planned = planRotation(keyring, jwk, now(), lead) // read the clock after key generation, which is slow
    await writeKeyring(folder, planned)
    return { keyring: planned, tidied, made: planned.at(-1) as KeyEntry }
  })
}

/**
 * Revokes a key at once; its private half is deleted.
 *
 * @param options.successor false: no new key is made when the revoked one was signing and none waits
 * @param options.force allows that no key signs any more
 * @throws OperatorError when there is no such key, or nothing would sign any more
 */
export async function revokeKey(
  folder: KeysFolder,
  kid: string,
  options: { now: Clock; bits: Bits; successor: boolean; force: boolean },
): Promise<Changed & { readonly signs: KeyEntry | undefined }> {
  const { now, bits, successor, force } = options
  const work = async () => {
    const before = await readKeyring(folder)
    const instant = now()
    const wasCurrent = signingKey(before, instant)?.kid === kid
    const leavesNoSigner = wasCurrent && waitingKey(before, instant) === undefined
    if (leavesNoSigner && !successor && !force) {
      throw new OperatorError('no key would sign any more, and every login would fail', {
        hint: 'leave --no-successor out, or add --force',
      })
    }
    if (leavesNoSigner && successor) await assertPassphraseFits(folder)
    const jwk = leavesNoSigner && successor ? await storePrivateKey(folder, await generatePrivateKey(bits)) : undefined
    const planned = planRevocation(before, kid, now(), jwk)
    await writeKeyring(folder, planned)
    return { ...(await tidy(folder, planned, now)), signs: signingKey(planned, now()) }
  }
  return withKeysLock(folder, work, LOCK_TIMEOUT_SECONDS) // in an emergency, waiting is better than failing
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
 * Makes the first signing key and the first refresh key of an empty folder.
 *
 * @returns the kid of the new signing key, or undefined when there was one already
 * @throws OperatorError when the folder can't be read or written, or holds several private keys and no manifest
 */
export async function makeFirstKey(folder: KeysFolder, now: Clock): Promise<string | undefined> {
  const complete = async () => (await readKeyring(folder)).length > 0 && (await readRefreshKeys(folder)).length > 0
  if (await complete()) return undefined
  return withKeysLock(
    folder,
    async () => {
      await ensureRefreshKey(folder, now)
      if ((await readKeyring(folder)).length > 0) return undefined
      const leftover = await leftoverPrivateKey(folder)
      const jwk = leftover ? publicJwk(leftover) : await storePrivateKey(folder, await generatePrivateKey(2048))
      await writeKeyring(folder, planRotation([], jwk, now(), 0))
      return jwk.kid
    },
    LOCK_TIMEOUT_SECONDS,
  )
}

/**
 * The private key in a folder without a manifest: left by a first run that was killed, or by the loss of the manifest.
 *
 * @throws OperatorError when there are several: only the manifest knew which one signs
 */
async function leftoverPrivateKey(folder: KeysFolder): Promise<KeyObject | undefined> {
  const [kid, ...others] = await storedKids(folder)
  if (others.length > 0) {
    throw new OperatorError(
      `keys: ${manifestPath(folder)} is missing, and there are ${others.length + 1} private keys`,
      {
        hint: 'restore keyring.json from a backup, or move all but one .pem away: that one will sign',
      },
    )
  }
  return kid === undefined ? undefined : readPrivateKey(folder, kid)
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
  await ensureRefreshKey(folder, now)
  const entries = before.filter((entry) => !keyring.includes(entry)).map(({ kid }) => kid)
  return { keyring, tidied: { entries, privateKeys } }
}
