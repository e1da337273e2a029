import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { OperatorError } from '../errors/app-error.ts'
import { type PublicJwk, publicJwk } from './jwk.ts'
import { type KeysFolder, syncFolder, writeDurably } from './keys-folder.ts'

export const privateKeyPath = (folder: KeysFolder, kid: string) => join(folder.dir, `${kid}.pem`)

export type Bits = 2048 | 3072 | 4096

/** Makes an RSA key pair on the thread pool. Nothing is stored. */
export async function generatePrivateKey(bits: Bits): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bits, publicExponent: 65537 })
  return privateKey
}

/**
 * Stores a private key as PKCS#8, create-exclusive with mode 0600: an existing file is never overwritten. It is
 * encrypted when the folder has a passphrase.
 *
 * @returns the public half
 * @throws OperatorError for a key that can't sign RS256 safely, or whose file exists already
 */
export async function storePrivateKey(folder: KeysFolder, key: KeyObject): Promise<PublicJwk> {
  const jwk = publicJwk(key)
  const encryption = folder.passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase: folder.passphrase }
  const pem = key.export({ type: 'pkcs8', format: 'pem', ...encryption }).toString()
  await writeDurably(privateKeyPath(folder, jwk.kid), pem, 0o600)
  await syncFolder(folder.dir)
  return jwk
}

/** The kids of the private keys in the folder. */
export async function storedKids(folder: KeysFolder): Promise<string[]> {
  const names = await readdir(folder.dir).catch(() => [])
  return names.flatMap((name) => /^([A-Za-z0-9_-]{43})\.pem$/.exec(name)?.[1] ?? [])
}

/** Deletes private halves. A file that is missing already is no error. */
export async function deletePrivateKeys(folder: KeysFolder, kids: readonly string[]): Promise<void> {
  for (const kid of kids) await rm(privateKeyPath(folder, kid), { force: true })
  if (kids.length > 0) await syncFolder(folder.dir)
}

/**
 * Reads the private half of a key and proves that it belongs to its kid (RFC 7638).
 *
 * @throws OperatorError when the file is missing, unreadable, encrypted with another passphrase, or holds another key
 */
export async function readPrivateKey(folder: KeysFolder, kid: string): Promise<KeyObject> {
  const path = privateKeyPath(folder, kid)
  const pem = await readFile(path).catch((cause) => {
    throw new OperatorError(`keys: can't read the private key ${path}: ${cause.code}`, {
      cause,
      hint: 'restore the file or its permissions, or make a new key: npm run keys -- rotate',
    })
  })
  const key = openPrivateKey(pem, path, folder.passphrase)
  if (publicJwk(key).kid !== kid) throw new OperatorError(`keys: ${path} holds another key than its name says`)
  return key
}

/**
 * Reads a private key from its PEM text.
 *
 * @param path for the error message only
 * @throws OperatorError when the text is not a private key, or is encrypted with another passphrase
 */
export function openPrivateKey(pem: Buffer, path: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, passphrase })
  } catch (cause) {
    throw new OperatorError(`keys: ${path} is not a private key that can be opened`, {
      cause,
      hint: 'is it damaged, or encrypted with another passphrase? (KEY_PASSPHRASE_FILE)',
    })
  }
}
