import type { KeyObject } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import type { Clock } from '../clock.ts'
import { OperatorError } from '../errors/app-error.ts'
import { type PublicJwk, publicJwk } from './jwk.ts'
import type { KeyEntry, Keyring } from './keyring.ts'
import type { KeysFolder } from './keys-folder.ts'
import { manifestPath, writeKeyring } from './manifest.ts'
import {
  type Bits,
  generatePrivateKey,
  privateKeyPath,
  readPrivateKey,
  storedKids,
  storePrivateKey,
} from './private-keys.ts'
import { assertPassphraseFits } from './refresh-keys.ts'
import { planRotation, planStandby, signingKey, standbyKey, waitingKey } from './rotation.ts'

// New keys for a keyring. Whoever calls this holds the lock of the folder.

/**
 * Stores a key that is in no keyring yet: the given one, or a new one.
 *
 * @throws OperatorError when the keyring has this key, or the folder can't be written
 */
export async function newKey(
  folder: KeysFolder,
  before: Keyring,
  given: KeyObject | undefined,
  bits: Bits,
): Promise<PublicJwk> {
  const key = given ?? (await generatePrivateKey(bits))
  const { kid } = publicJwk(key)
  if (before.some((entry) => entry.kid === kid))
    throw new OperatorError(`key ${kid} is in this keyring already`, { hint: 'a key is never used twice' })
  return storePrivateKey(folder, key)
}

/**
 * Publishes a standby key if a key signs and none stands by.
 *
 * @throws OperatorError when the folder can't be written; the keyring from before is in force then
 */
export async function leaveStandby(
  folder: KeysFolder,
  keyring: Keyring,
  { now, bits }: { now: Clock; bits: Bits },
): Promise<{ keyring: Keyring; standby: KeyEntry | undefined }> {
  if (!lacksStandby(keyring, now())) return { keyring, standby: undefined }
  await assertPassphraseFits(folder)
  const jwk = await storePrivateKey(folder, await generatePrivateKey(bits))
  const planned = planStandby(keyring, jwk, now())
  await writeKeyring(folder, planned)
  return { keyring: planned, standby: standbyKey(planned, now()) }
}

/** True when a key signs and no published key stands by. */
export function lacksStandby(keyring: Keyring, now: number): boolean {
  const signs = signingKey(keyring, now) ?? waitingKey(keyring, now)
  return signs !== undefined && standbyKey(keyring, now) === undefined
}

/**
 * Writes a manifest for the private keys of a folder without one: left by a first run that was killed, or by the loss
 * of the manifest. Of two, the older file signs and the other one stands by. Both are published, so tokens of either
 * verify.
 *
 * @returns an empty keyring when there are none
 * @throws OperatorError when there are more than two: some of them may have been replaced, and only the manifest knew
 */
export async function adoptPrivateKeys(folder: KeysFolder, now: number): Promise<Keyring> {
  const files: { kid: string; written: number }[] = []
  for (const kid of await storedKids(folder)) {
    const path = privateKeyPath(folder, kid)
    // Without its last line a file was being written when a run was killed. No token was ever signed with that key.
    if ((await readFile(path, 'utf8')).includes('-----END')) files.push({ kid, written: (await stat(path)).mtimeMs })
  }
  if (files.length > 2) {
    throw new OperatorError(`keys: ${manifestPath(folder)} is missing, and there are ${files.length} private keys`, {
      hint: 'restore keyring.json from a backup, or move all but two .pem away: the older one will sign',
    })
  }
  files.sort((a, b) => a.written - b.written)
  const [signing, standby] = await Promise.all(
    files.map(async ({ kid }) => publicJwk(await readPrivateKey(folder, kid))),
  )
  if (signing === undefined) return []
  const first = planRotation([], signing, now, 0)
  const keyring = standby === undefined ? first : planStandby(first, standby, now)
  await writeKeyring(folder, keyring) // both at once: a key that is in no manifest is deleted by the next run
  return keyring
}
