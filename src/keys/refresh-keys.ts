import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { CompactEncrypt, compactDecrypt } from 'jose'
import type { Clock } from '../clock.ts'
import { MAX_CLOCK_SKEW_SECONDS } from '../config/ceilings.ts'
import {
  deleteFile,
  KeyFileError,
  type KeysFolder,
  namesIn,
  PASSPHRASE_HINT,
  readKeyFile,
  replaceDurably,
  syncFolder,
} from './keys-folder.ts'
import { withKeysLock } from './keys-lock.ts'
import { markRevoked, revokedAmong } from './revoked-refresh-keys.ts'
import { RELOAD_INTERVAL_SECONDS } from './rotation.ts'

// The HMAC keys of refresh tokens: one file per key, `refresh-<id>.json`, mode 0600. A file is written once and never
// changed, so no manifest has to match it. The key in use is the youngest whose `sign_from` has passed; older ones
// still verify.

/** Time between writing a key and using it: by then every node has read it, whatever its clock says. */
export const REFRESH_KEY_LEAD_SECONDS = MAX_CLOCK_SKEW_SECONDS + RELOAD_INTERVAL_SECONDS

const KeyFile = Type.Object(
  {
    id: Type.String({ pattern: '^[A-Za-z0-9_-]{11}$' }),
    sign_from: Type.Integer({ minimum: 0 }),
    /** 256 bits in base64url, or the same as a JWE (PBES2, RFC 7518 section 4.8) when the folder has a passphrase. */
    secret: Type.String({ minLength: 43, maxLength: 2048 }),
  },
  { additionalProperties: false },
)

export interface RefreshKey {
  readonly id: string
  /** Epoch seconds. */
  readonly signFrom: number
  readonly secret: Buffer
}

/** The key that makes refresh tokens at an instant: the youngest that has begun, or else the first that will. */
export function refreshKeyAt(keys: readonly RefreshKey[], instant: number): RefreshKey | undefined {
  const byStart = keys.toSorted((a, b) => a.signFrom - b.signFrom || a.id.localeCompare(b.id))
  return byStart.findLast(({ signFrom }) => signFrom <= instant) ?? byStart[0]
}

/**
 * @param known keys that were read before: their files never change, and opening one with a passphrase takes a tenth of
 *   a second
 * @returns all refresh keys of the folder
 * @throws KeyFileError when the folder can't be listed, or one can't be read or opened
 */
export async function readRefreshKeys(folder: KeysFolder, known: readonly RefreshKey[] = []): Promise<RefreshKey[]> {
  const names = await storedNames(folder)
  return Promise.all(
    names.map(
      (name) =>
        known.find(({ id }) => name === fileName(id)) ?? readRefreshKey(join(folder.dir, name), folder.passphrase),
    ),
  )
}

/**
 * The keys in memory that may still be used, whatever else is wrong in the folder: all but the revoked ones. A
 * revocation always leaves another key, so in a folder without any key, or one that can't be listed, nothing was
 * revoked: it was emptied or unmounted.
 */
export async function unrevokedRefreshKeys(folder: KeysFolder, known: readonly RefreshKey[]): Promise<RefreshKey[]> {
  const names = await storedNames(folder).catch((): string[] => [])
  if (names.length === 0) return [...known]
  return readRefreshKeys(folder, known).catch(() => known.filter(({ id }) => names.includes(fileName(id))))
}

async function storedNames(folder: KeysFolder): Promise<string[]> {
  const names = await namesIn(folder)
  const revoked = revokedAmong(names).map(fileName)
  return names.filter((name) => /^refresh-[\w-]{11}\.json$/.test(name) && !revoked.includes(name))
}

/** Makes the next refresh key, or nothing when a key waits already. The first one of a folder is in use at once. */
export function rotateRefreshKey(folder: KeysFolder, now: Clock): Promise<RefreshKey | undefined> {
  return withKeysLock(folder, async () => {
    const keys = await readRefreshKeys(folder)
    if (keys.some(({ signFrom }) => signFrom > now())) return undefined
    return writeRefreshKey(folder, keys.length === 0 ? now() : now() + REFRESH_KEY_LEAD_SECONDS)
  })
}

/**
 * Makes the first refresh key of a folder that has none. Those that are there are not opened: that takes the
 * passphrase, and must not be what an emergency fails at. The caller holds the lock of the folder.
 */
export async function ensureRefreshKey(folder: KeysFolder, now: Clock): Promise<void> {
  if ((await storedNames(folder)).length === 0) await writeRefreshKey(folder, now())
}

/**
 * Revokes a refresh key: whoever holds a token made with it has to log in again once the access token expires. It is
 * not opened for that, and neither are the others: a leaked key can be taken away without the passphrase.
 *
 * @returns false when there is no such key
 * @throws KeyFileError `passphrase` when it is the last one, and another would have to be made in its place
 */
export function revokeRefreshKey(folder: KeysFolder, id: string, now: Clock): Promise<boolean> {
  return withKeysLock(folder, async () => {
    const names = await storedNames(folder)
    if (!names.includes(fileName(id))) return false
    if (names.length === 1) {
      await assertPassphraseFits(folder)
      await writeRefreshKey(folder, now())
    }
    await markRevoked(folder, id, now())
    await deleteFile(refreshKeyPath(folder, id))
    await syncFolder(folder.dir)
    return true
  })
}

/**
 * Makes sure that a new key will be encrypted as the others are. Other faults of them do not count: a revocation must
 * not fail at a damaged file.
 *
 * @throws KeyFileError `passphrase` when the passphrase is missing, or opens no refresh key
 */
export async function assertPassphraseFits(folder: KeysFolder): Promise<void> {
  const outcomes = await Promise.allSettled(
    (await storedNames(folder)).map((name) => readRefreshKey(join(folder.dir, name), folder.passphrase)),
  )
  const isOpened = outcomes.some(({ status }) => status === 'fulfilled')
  if (isOpened && folder.passphrase !== undefined) return
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected' && outcome.reason instanceof KeyFileError)
      if (outcome.reason.fault === 'passphrase') throw outcome.reason
  }
}

/**
 * Deletes the refresh keys whose tokens have all expired.
 *
 * @param maxAge longest life of a session, in seconds: a key is deleted when its successor has been in use for that
 *   long
 * @returns the ids of the deleted keys
 */
export function pruneRefreshKeys(folder: KeysFolder, now: Clock, maxAge: number): Promise<string[]> {
  return withKeysLock(folder, async () => {
    const keys = (await readRefreshKeys(folder)).toSorted((a, b) => a.signFrom - b.signFrom)
    const dead = keys.filter((_, index) => (keys[index + 1]?.signFrom ?? now()) + maxAge < now())
    for (const { id } of dead) await deleteFile(refreshKeyPath(folder, id))
    if (dead.length > 0) await syncFolder(folder.dir)
    return dead.map(({ id }) => id)
  })
}

export const refreshKeyPath = (folder: KeysFolder, id: string) => join(folder.dir, fileName(id))
const fileName = (id: string) => `refresh-${id}.json`

async function writeRefreshKey(folder: KeysFolder, signFrom: number): Promise<RefreshKey> {
  const key = { id: randomBytes(8).toString('base64url'), signFrom, secret: randomBytes(32) }
  const secret =
    folder.passphrase === undefined
      ? key.secret.toString('base64url')
      : await new CompactEncrypt(key.secret)
          .setProtectedHeader({ alg: 'PBES2-HS256+A128KW', enc: 'A256GCM' })
          .setKeyManagementParameters({ p2c: 600_000 })
          .encrypt(new TextEncoder().encode(folder.passphrase))
  const text = `${JSON.stringify({ id: key.id, sign_from: signFrom, secret })}\n`
  const { secret: opened } = await parseRefreshKey(text, refreshKeyPath(folder, key.id), folder.passphrase)
  if (!opened.equals(key.secret)) throw new TypeError('writeRefreshKey: another secret was written')
  await replaceDurably(refreshKeyPath(folder, key.id), text, 0o600) // a server may be reading the folder right now
  return key
}

/**
 * Reads one refresh key.
 *
 * @throws KeyFileError that names the file and shows nothing of it
 */
export async function readRefreshKey(path: string, passphrase: string | undefined): Promise<RefreshKey> {
  return parseRefreshKey((await readKeyFile(path, 'the refresh key')).toString('utf8'), path, passphrase)
}

async function parseRefreshKey(text: string, path: string, passphrase: string | undefined): Promise<RefreshKey> {
  const value = parse(text)
  if (!Value.Check(KeyFile, value) || basename(path) !== fileName(value.id)) throw damaged(path)
  const { id, sign_from: signFrom, secret } = value as Static<typeof KeyFile>
  if (isEncryptedSecret(secret) && passphrase === undefined) {
    throw new KeyFileError('passphrase', `keys: ${path} is encrypted, and can be opened with its passphrase only`, {
      hint: PASSPHRASE_HINT,
    })
  }
  const bytes = await openSecret(secret, passphrase).catch((cause) => {
    if (cause.code !== 'ERR_JWE_DECRYPTION_FAILED') throw damaged(path, cause)
    const message = `keys: ${path} is encrypted, and this is not the passphrase with which it can be opened`
    throw new KeyFileError('passphrase', `${message} (or it is damaged)`, { cause, hint: PASSPHRASE_HINT })
  })
  if (bytes.length !== 32) throw damaged(path)
  return { id, signFrom, secret: bytes }
}

function damaged(path: string, cause?: unknown): KeyFileError {
  return new KeyFileError('damaged', `keys: ${path} is not a refresh key that can be opened`, {
    cause,
    hint: 'restore it from a backup, or see what is wrong: npm run keys -- check',
  })
}

/** True when the secret of a key file is a JWE. */
const isEncryptedSecret = (secret: string) => secret.includes('.')

/**
 * The files of the refresh keys, and whether each is encrypted. One that can't be read or parsed counts as encrypted:
 * opening it says what is wrong.
 */
export async function refreshKeyFiles(folder: KeysFolder): Promise<{ path: string; encrypted: boolean }[]> {
  const paths = (await storedNames(folder)).map((name) => join(folder.dir, name))
  return Promise.all(
    paths.map(async (path) => {
      const value = parse(await readFile(path, 'utf8').catch(() => ''))
      return { path, encrypted: !Value.Check(KeyFile, value) || isEncryptedSecret(value.secret) }
    }),
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function openSecret(secret: string, passphrase: string | undefined): Promise<Buffer> {
  if (!isEncryptedSecret(secret)) return Buffer.from(secret, 'base64url')
  const key = new TextEncoder().encode(passphrase ?? '')
  const options = {
    keyManagementAlgorithms: ['PBES2-HS256+A128KW'],
    contentEncryptionAlgorithms: ['A256GCM'],
    maxPBES2Count: 600_000,
  }
  return Buffer.from((await compactDecrypt(secret, key, options)).plaintext)
}
