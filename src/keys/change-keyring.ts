import type { KeyObject } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { Clock } from '../clock.ts'
import { OperatorError } from '../errors/app-error.ts'
import { publicJwk } from './jwk.ts'
import type { KeyEntry, Keyring } from './keyring.ts'
import { type KeysFolder, unfinishedPath, withKeysLock } from './keys-folder.ts'
import { manifestPath, readKeyring, writeKeyring } from './manifest.ts'
import {
  type Bits,
  deletePrivateKeys,
  generatePrivateKey,
  readPrivateKey,
  storedKids,
  storePrivateKey,
} from './private-keys.ts'
import { ensureRefreshKey, readRefreshKeys } from './refresh-keys.ts'
import { planRevocation, planRotation, signingKey, stoppedSigning, waitingKey, withoutDeadKeys } from './rotation.ts'

// The doors through which a keyring changes: the scripts and the first boot use the same ones. Each takes the lock, looks again,
// and works in this order, so that a crash at any point leaves a folder that loads: new private key, manifest, old private keys.

/** Seconds to wait for another process that holds the lock, where giving up at once would be worse. */
const LOCK_TIMEOUT_SECONDS = 10

export interface Changed {
  readonly keyring: Keyring
  /** What was tidied up on the way. */
  readonly tidied: Tidied
}

export interface Tidied {
  /** Entries that no token can name any more. */
  readonly entries: readonly string[]
  /** Private halves of keys that stopped signing, and of keys that no manifest knows: left by a run that was killed. */
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
 * @throws OperatorError when another process is at it, or the folder can't be read or written
 */
export async function rotateKeys(
  folder: KeysFolder,
  options: { now: Clock; lead: number; bits: Bits; ifOlderThan?: number | undefined; key?: KeyObject | undefined },
): Promise<RotationOutcome> {
  const { now, lead, bits, ifOlderThan = 0 } = options
  return withKeysLock(folder, async () => {
    const before = await readKeyring(folder)
    const waiting = waitingKey(before, now())
    if (waiting) return { made: undefined, because: 'waiting', entry: waiting, ...(await tidy(folder, before, now)) }
    const current = signingKey(before, now())
    if (current && now() - current.sign_from < ifOlderThan) {
      return { made: undefined, because: 'young', entry: current, ...(await tidy(folder, before, now)) }
    }
    const { keyring, tidied } = await tidy(folder, before, now)
    const adopted = before.length === 0 ? await adoptable(folder) : undefined
    const key = options.key ?? adopted ?? (await generatePrivateKey(bits))
    const { kid } = publicJwk(key)
    if (before.some((entry) => entry.kid === kid))
      throw new OperatorError(`key ${kid} is in this keyring already`, { hint: 'a key is never used twice' })
    const jwk = key === adopted ? publicJwk(key) : await storePrivateKey(folder, key)
    const planned = planRotation(keyring, jwk, now(), lead) // the clock is read after the slow part
    await writeKeyring(folder, planned)
    return { keyring: planned, tidied, made: planned.at(-1) as KeyEntry }
  })
}

/**
 * Takes a key away at once; its private half is deleted.
 *
 * @param options.successor false makes no new key when it was the one that signs and none waits
 * @param options.force leaves the service without a signing key if it comes to that
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
    const jwk = leavesNoSigner && successor ? await storePrivateKey(folder, await generatePrivateKey(bits)) : undefined
    const planned = planRevocation(before, kid, now(), jwk)
    await writeKeyring(folder, planned)
    return { ...(await tidy(folder, planned, now)), signs: signingKey(planned, now()) }
  }
  return withKeysLock(folder, work, LOCK_TIMEOUT_SECONDS) // in an emergency nobody wants to be told to try again
}

/** Deletes what is over: dead entries, private halves that no longer sign, and what a killed run left. */
export function pruneKeys(folder: KeysFolder, now: Clock): Promise<Changed> {
  return withKeysLock(folder, async () => tidy(folder, await readKeyring(folder), now))
}

/**
 * Makes the first keys of an empty folder.
 *
 * @returns the kid of the signing key, or undefined when there is one already
 */
export async function makeFirstKey(folder: KeysFolder, now: Clock): Promise<string | undefined> {
  const complete = async () => (await readKeyring(folder)).length > 0 && (await readRefreshKeys(folder)).length > 0
  if (await complete()) return undefined
  return withKeysLock(
    folder,
    async () => {
      await ensureRefreshKey(folder, now)
      if ((await readKeyring(folder)).length > 0) return undefined
      const adopted = await adoptable(folder)
      const jwk = adopted ? publicJwk(adopted) : await storePrivateKey(folder, await generatePrivateKey(2048))
      await writeKeyring(folder, planRotation([], jwk, now(), 0))
      return jwk.kid
    },
    LOCK_TIMEOUT_SECONDS,
  )
}

/**
 * The private key that lies in a folder without a manifest: of a first run that was killed, or all that is left of a lost one.
 *
 * @throws OperatorError when there are several: which one signs, only the manifest knew
 */
async function adoptable(folder: KeysFolder): Promise<KeyObject | undefined> {
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
  // With no manifest nothing is known to be over: it may have been lost, and the keys are all that is left.
  const privateKeys =
    before.length === 0 ? [] : (await storedKids(folder)).filter((kid) => stopped.includes(kid) || !known.includes(kid))

  if (keyring.length < before.length) await writeKeyring(folder, keyring)
  await rm(unfinishedPath(folder), { force: true })
  await deletePrivateKeys(folder, privateKeys)
  await ensureRefreshKey(folder, now)
  const entries = before.filter((entry) => !keyring.includes(entry)).map(({ kid }) => kid)
  return { keyring, tidied: { entries, privateKeys } }
}
