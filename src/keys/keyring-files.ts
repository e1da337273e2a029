import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { toTimestamp } from '../clock.ts'
import { OperatorError } from '../errors.ts'
import { type PublicJwk, publicJwk, thumbprint } from './jwk.ts'
import { KeyEntry, type Keyring } from './keyring.ts'

// The manifest as it lies on disk: the entries with instants that a person can read.
const Instant = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$' })
const InstantOrNull = Type.Union([Instant, Type.Null()])
const Manifest = Type.Object(
  {
    version: Type.Literal(1),
    keys: Type.Array(
      Type.Composite(
        [
          Type.Pick(KeyEntry, ['kid', 'jwk']),
          Type.Object({
            created_at: Instant,
            publish_at: Instant,
            sign_from: Instant,
            sign_until: InstantOrNull,
            verify_until: InstantOrNull,
            revoked_at: InstantOrNull,
          }),
        ],
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
)

const SQLITE_BUSY = 5

/** Where a keys folder is, and the passphrase of its private keys if they are encrypted. */
export interface KeysFolder {
  readonly dir: string
  readonly passphrase: string | undefined
}

export const manifestPath = (folder: KeysFolder) => join(folder.dir, 'keyring.json')
export const privateKeyPath = (folder: KeysFolder, kid: string) => join(folder.dir, `${kid}.pem`)

/**
 * Reads the passphrase: the first line of the file.
 *
 * @throws OperatorError when the file can't be read or its first line is empty
 */
export async function readPassphrase(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  const text = await readFile(file, 'utf8').catch((cause) => {
    throw new OperatorError(`KEY_PASSPHRASE_FILE: can't read ${file}: ${cause.code}`, {
      cause,
      hint: 'make it readable for the server',
    })
  })
  const line = text.split(/\r?\n/, 1)[0] ?? ''
  if (line === '') throw new OperatorError(`KEY_PASSPHRASE_FILE: the first line of ${file} is empty`)
  return line
}

/**
 * Reads the manifest.
 *
 * @returns the keyring; an empty one when there is no manifest yet
 * @throws OperatorError when the file can't be read, does not parse or breaks an invariant
 */
export async function readKeyring(folder: KeysFolder): Promise<Keyring> {
  const path = manifestPath(folder)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new OperatorError(`keys: can't read ${path}: ${(cause as NodeJS.ErrnoException).code}`, { cause })
  }
  return parseManifest(text, path)
}

/** The text of a manifest as a keyring. `path` is for the error only. */
export function parseManifest(text: string, path: string): Keyring {
  const broken = (what: string) =>
    new OperatorError(`keys: ${path} ${what}`, { hint: 'restore it from a backup, or see `npm run keys -- check`' })
  let manifest: unknown
  try {
    manifest = JSON.parse(text)
  } catch {
    throw broken('is not valid JSON')
  }
  const first = Value.Errors(Manifest, manifest).First()
  if (first !== undefined) throw broken(`is not a keyring: ${first.path || '/'} ${first.message}`)

  const keyring = (manifest as Static<typeof Manifest>).keys.map((entry) => ({
    ...entry,
    created_at: toSeconds(entry.created_at),
    publish_at: toSeconds(entry.publish_at),
    sign_from: toSeconds(entry.sign_from),
    sign_until: entry.sign_until && toSeconds(entry.sign_until),
    verify_until: entry.verify_until && toSeconds(entry.verify_until),
    revoked_at: entry.revoked_at && toSeconds(entry.revoked_at),
  })) as KeyEntry[]

  for (const { kid, jwk } of keyring) {
    if (kid !== jwk.kid || kid !== thumbprint(jwk))
      throw broken(`names a key ${kid} whose kid is not the thumbprint of its JWK`)
    publicJwk(createPublicKey({ key: { kty: jwk.kty, n: jwk.n, e: jwk.e }, format: 'jwk' }))
  }
  if (new Set(keyring.map(({ kid }) => kid)).size !== keyring.length) throw broken('holds the same kid twice')
  return keyring
}

/** Writes the manifest so that a reader sees the old one or the new one, and a crash leaves one of them. */
export async function writeKeyring(folder: KeysFolder, keyring: Keyring): Promise<void> {
  const keys = keyring.map((entry) => ({
    ...entry,
    created_at: toTimestamp(entry.created_at),
    publish_at: toTimestamp(entry.publish_at),
    sign_from: toTimestamp(entry.sign_from),
    sign_until: entry.sign_until === null ? null : toTimestamp(entry.sign_until),
    verify_until: entry.verify_until === null ? null : toTimestamp(entry.verify_until),
    revoked_at: entry.revoked_at === null ? null : toTimestamp(entry.revoked_at),
  }))
  const path = manifestPath(folder)
  const temporary = `${path}.tmp`
  await rm(temporary, { force: true })
  await writeDurably(temporary, `${JSON.stringify({ version: 1, keys }, null, 2)}\n`, 0o644)
  await rename(temporary, path)
  await syncFolder(folder.dir)
}

/**
 * Makes a key and stores its private half as PKCS#8, create-exclusive with mode 0600: an existing file is never overwritten.
 * The generation runs on the thread pool.
 *
 * @param bits modulus length: 2048, 3072 or 4096
 * @returns the public half
 */
export async function makeKey(folder: KeysFolder, bits: number): Promise<PublicJwk> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bits, publicExponent: 65537 })
  const jwk = publicJwk(privateKey)
  const encryption = folder.passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase: folder.passphrase }
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption }).toString()
  await writeDurably(privateKeyPath(folder, jwk.kid), pem, 0o600)
  await syncFolder(folder.dir)
  return jwk
}

/**
 * Reads the private half of a key and proves that it belongs to its kid (RFC 7638).
 *
 * @throws OperatorError when the file is missing, unreadable, encrypted with another passphrase or of another key
 */
export async function readPrivateKey(folder: KeysFolder, kid: string): Promise<KeyObject> {
  const path = privateKeyPath(folder, kid)
  const pem = await readFile(path).catch((cause) => {
    throw new OperatorError(`keys: can't read the private key ${path}: ${cause.code}`, {
      cause,
      hint: 'restore the file or its permissions, or make a new key: npm run keys -- rotate',
    })
  })
  let key: KeyObject
  try {
    key = createPrivateKey({ key: pem, passphrase: folder.passphrase })
  } catch (cause) {
    throw new OperatorError(`keys: ${path} is not a private key that can be opened`, {
      cause,
      hint: 'is it damaged, or encrypted with another passphrase? (KEY_PASSPHRASE_FILE)',
    })
  }
  if (publicJwk(key).kid !== kid) throw new OperatorError(`keys: ${path} holds another key than its name says`)
  return key
}

/**
 * Runs `work` while no other process changes this folder. The lock is SQLite's own on an empty file: the kernel drops it with
 * the process, so a killed script leaves nothing to clean up.
 *
 * @param waitSeconds how long to wait for another process that holds it
 * @throws OperatorError when another process still holds it then
 */
export async function withKeysLock<T>(folder: KeysFolder, work: () => Promise<T>, waitSeconds = 0): Promise<T> {
  await mkdir(folder.dir, { recursive: true, mode: 0o700 }).catch((cause) => {
    throw notWritable(folder, cause)
  })
  let lock = tryLock(folder)
  for (let waited = 0; lock === undefined && waited < waitSeconds * 1000; waited += 50) {
    await setTimeout(50)
    lock = tryLock(folder)
  }
  if (lock === undefined) {
    throw new OperatorError(`keys: another process is changing ${folder.dir}`, {
      hint: 'let it finish, then look: npm run keys -- list',
    })
  }
  try {
    return await work()
  } finally {
    lock.close()
  }
}

/** @returns undefined when another process holds the lock */
function tryLock(folder: KeysFolder): DatabaseSync | undefined {
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(join(folder.dir, '.lock'), { timeout: 0 })
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (cause) {
    lock?.close()
    if (((cause as { errcode?: number }).errcode ?? 0) === SQLITE_BUSY) return undefined
    throw notWritable(folder, cause)
  }
}

function notWritable(folder: KeysFolder, cause: unknown): OperatorError {
  return new OperatorError(`KEYS_DIR: can't write in ${folder.dir}`, {
    cause,
    hint: 'make the folder writable for this user',
  })
}

async function writeDurably(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, mode)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncFolder(dir: string): Promise<void> {
  if (process.platform === 'win32') return // Windows has no fsync on folders
  const handle = await open(dir, 'r')
  await handle.sync().finally(() => handle.close())
}

function toSeconds(timestamp: string): number {
  return Date.parse(timestamp) / 1000
}
