import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { OperatorError } from '../errors/app-error.ts'
import { encryptedPem, openEncryptedPem } from './encrypted-pem.ts'
import { type PublicJwk, publicJwk } from './jwk.ts'
import {
  deleteFile,
  KeyFileError,
  type KeysFolder,
  namesIn,
  PASSPHRASE_HINT,
  readKeyFile,
  syncFolder,
  writeDurably,
} from './keys-folder.ts'
import { provenPublicJwk } from './sound-key.ts'

export const privateKeyPath = (folder: KeysFolder, kid: string) => join(folder.dir, `${kid}.pem`)

export type Bits = 2048 | 3072 | 4096

/** Makes an RSA key pair on the thread pool. Nothing is stored. */
export async function generatePrivateKey(bits: Bits): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bits, publicExponent: 65537 })
  return privateKey
}

/**
 * Stores a private key as PKCS#8, create-exclusive with mode 0600: an existing file is never overwritten. It is
 * encrypted when the folder has a passphrase. Only a text that was opened again is written.
 *
 * @returns the public half
 * @throws OperatorError for a key that can't sign RS256 safely, or whose file exists already
 */
export async function storePrivateKey(folder: KeysFolder, key: KeyObject): Promise<PublicJwk> {
  const jwk = provenPublicJwk(key)
  const path = privateKeyPath(folder, jwk.kid)
  const pem =
    folder.passphrase === undefined
      ? key.export({ type: 'pkcs8', format: 'pem' }).toString()
      : await encryptedPem(key, folder.passphrase)
  const opened = await openPrivateKey(Buffer.from(pem), path, folder.passphrase)
  if (publicJwk(opened).kid !== jwk.kid) throw new TypeError('storePrivateKey: another key was written')
  await writeDurably(path, pem, 0o600)
  await syncFolder(folder.dir)
  return jwk
}

/**
 * The kids of the private keys in the folder.
 *
 * @throws KeyFileError when the folder can't be listed
 */
export async function storedKids(folder: KeysFolder): Promise<string[]> {
  const names = await namesIn(folder)
  return names.flatMap((name) => /^([A-Za-z0-9_-]{43})\.pem$/.exec(name)?.[1] ?? [])
}

/**
 * Deletes private halves. A file that is missing already is no error.
 *
 * @throws OperatorError when one can't be deleted
 */
export async function deletePrivateKeys(folder: KeysFolder, kids: readonly string[]): Promise<void> {
  for (const kid of kids) await deleteFile(privateKeyPath(folder, kid))
  if (kids.length > 0) await syncFolder(folder.dir)
}

/**
 * Reads the private half of a key, and proves that it signs and belongs to its kid (RFC 7638).
 *
 * @throws KeyFileError when the file is missing or unreadable, encrypted with another passphrase, damaged, or holds
 *   another key
 */
export async function readPrivateKey(folder: KeysFolder, kid: string): Promise<KeyObject> {
  const path = privateKeyPath(folder, kid)
  const key = await openPrivateKey(await readKeyFile(path, 'the private key'), path, folder.passphrase)
  if (provenKid(key, path) !== kid)
    throw new KeyFileError('damaged', `keys: ${path} holds another key than its name says`, { hint: RESTORE })
  return key
}

function provenKid(key: KeyObject, path: string): string {
  try {
    return provenPublicJwk(key).kid
  } catch (cause) {
    if (!(cause instanceof OperatorError)) throw cause
    throw new KeyFileError('damaged', `keys: ${path}: ${cause.message}`, { cause, hint: RESTORE })
  }
}

const RESTORE = 'restore it from a backup, or make a new key: npm run keys -- rotate'

/** True for a private key that needs a passphrase: PKCS#8, or the older form of OpenSSL (RFC 1421 section 4.6.1.1). */
export function isEncrypted(pem: Buffer): boolean {
  return /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem.toString('latin1'))
}

/**
 * Reads a private key from its PEM text, in any form that OpenSSL knows.
 *
 * @param path for the error message only
 * @param hints for the operator
 * @throws KeyFileError `passphrase` or `damaged`
 */
export async function openPrivateKey(
  pem: Buffer,
  path: string,
  passphrase: string | Buffer | undefined,
  hints = { passphrase: PASSPHRASE_HINT, damaged: RESTORE },
): Promise<KeyObject> {
  if (!isEncrypted(pem)) {
    try {
      return createPrivateKey(pem)
    } catch (cause) {
      throw new KeyFileError('damaged', `keys: ${path} is not a private key that can be opened`, {
        cause,
        hint: hints.damaged,
      })
    }
  }
  if (passphrase === undefined) {
    throw new KeyFileError('passphrase', `keys: ${path} is encrypted, and can be opened with its passphrase only`, {
      hint: hints.passphrase,
    })
  }
  try {
    const opened = await openEncryptedPem(pem.toString('latin1'), passphrase)
    return opened ?? createPrivateKey({ key: pem, passphrase })
  } catch (cause) {
    throw new KeyFileError(
      'passphrase',
      `keys: ${path} is encrypted, and this is not the passphrase with which it can be opened (or it is damaged)`,
      { cause, hint: hints.passphrase },
    )
  }
}
