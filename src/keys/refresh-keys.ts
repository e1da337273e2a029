import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { CompactEncrypt, compactDecrypt } from 'jose'
import type { Clock } from '../clock.ts'
import { MAX_CLOCK_SKEW_SECONDS } from '../config/ceilings.ts'
import { OperatorError } from '../errors/app-error.ts'
import { type KeysFolder, replaceDurably, syncFolder, withKeysLock } from './keys-folder.ts'
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
 * @throws OperatorError when one can't be read or opened
 */
export async function readRefreshKeys(folder: KeysFolder, known: readonly RefreshKey[] = []): Promise<RefreshKey[]> {
  const names = await storedNames(folder)
  return Promise.all(names.map((name) => known.find(({ id }) => name === fileName(id)) ?? readOne(folder, name)))
}

/**
 * The keys in memory that may still be used, whatever else is wrong in the folder: all but the revoked ones. A
 * revocation always leaves another key, so in a folder without any key nothing was revoked: it was emptied or
 * unmounted.
 */
export async function unrevokedRefreshKeys(folder: KeysFolder, known: readonly RefreshKey[]): Promise<RefreshKey[]> {
  const names = await storedNames(folder)
  if (names.length === 0) return [...known]
  return readRefreshKeys(folder, known).catch(() => known.filter(({ id }) => names.includes(fileName(id))))
}

async function storedNames(folder: KeysFolder): Promise<string[]> {
  const names = await readdir(folder.dir).catch(() => [])
  return names.filter((name) => /^refresh-[\w-]{11}\.json$/.test(name))
}

/**
 * Makes the next refresh key. The first one of a folder is in use at once.
 *
 * @returns undefined when a key waits already
 */
export function rotateRefreshKey(folder: KeysFolder, now: Clock): Promise<RefreshKey | undefined> {
  return withKeysLock(folder, async () => {
    const keys = await readRefreshKeys(folder)
    if (keys.some(({ signFrom }) => signFrom > now())) return undefined
    return writeRefreshKey(folder, keys.length === 0 ? now() : now() + REFRESH_KEY_LEAD_SECONDS)
  })
}

/** Makes the first refresh key of a folder that has none. The caller holds the lock of the folder. */
export async function ensureRefreshKey(folder: KeysFolder, now: Clock): Promise<void> {
  if ((await readRefreshKeys(folder)).length === 0) await writeRefreshKey(folder, now())
}

/**
 * Revokes a refresh key: whoever holds a token made with it has to log in again once the access token expires.
 *
 * @returns false when there is no such key
 */
export function revokeRefreshKey(folder: KeysFolder, id: string, now: Clock): Promise<boolean> {
  return withKeysLock(folder, async () => {
    const keys = await readRefreshKeys(folder)
    if (!keys.some((key) => key.id === id)) return false
    if (keys.length === 1) await writeRefreshKey(folder, now())
    await rm(refreshKeyPath(folder, id))
    await syncFolder(folder.dir)
    return true
  })
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
    for (const { id } of dead) await rm(refreshKeyPath(folder, id))
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
  await replaceDurably(refreshKeyPath(folder, key.id), text, 0o600) // a server may be reading the folder right now
  return key
}

async function readOne(folder: KeysFolder, name: string): Promise<RefreshKey> {
  const path = join(folder.dir, name)
  const broken = (cause?: unknown) =>
    new OperatorError(`keys: ${path} is not a refresh key that can be opened`, {
      cause,
      hint: 'is it damaged, or encrypted with another passphrase? (KEY_PASSPHRASE_FILE)',
    })
  const value = parse(await readFile(path, 'utf8').catch(() => ''))
  if (!Value.Check(KeyFile, value) || name !== fileName(value.id)) throw broken()
  const { id, sign_from: signFrom, secret } = value as Static<typeof KeyFile>
  const bytes = await openSecret(secret, folder.passphrase).catch((cause) => {
    throw broken(cause)
  })
  if (bytes.length !== 32) throw broken()
  return { id, signFrom, secret: bytes }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function openSecret(secret: string, passphrase: string | undefined): Promise<Buffer> {
  if (!secret.includes('.')) return Buffer.from(secret, 'base64url')
  const key = new TextEncoder().encode(passphrase ?? '')
  const options = {
    keyManagementAlgorithms: ['PBES2-HS256+A128KW'],
    contentEncryptionAlgorithms: ['A256GCM'],
    maxPBES2Count: 600_000,
  }
  return Buffer.from((await compactDecrypt(secret, key, options)).plaintext)
}
