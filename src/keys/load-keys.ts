import type { webcrypto } from 'node:crypto'
import { OperatorError } from '../errors/app-error.ts'
import type { KeyEntry, Keyring } from './keyring.ts'
import type { KeysFolder } from './keys-folder.ts'
import { readKeyring } from './manifest.ts'
import { readPrivateKey } from './private-keys.ts'
import { type RefreshKey, readRefreshKeys } from './refresh-keys.ts'
import type { RevokedKeys } from './revoked-keys.ts'
import { revokedRefreshIds } from './revoked-refresh-keys.ts'

/** What a server reads from the keys folder. */
export interface LoadedKeys {
  readonly manifest: Keyring
  /** By kid: the private half of every key that may still sign. */
  readonly signers: ReadonlyMap<string, webcrypto.CryptoKey>
  readonly refreshKeys: readonly RefreshKey[]
}

/**
 * Reads the folder, and remembers in `revoked` which of its keys are revoked.
 *
 * @param known what was read before; it need not be read again
 * @throws OperatorError when the folder can't be used: damaged, emptied, a key that can't be opened, or when every key
 *   that would sign, or every refresh key, was revoked elsewhere
 */
export async function loadKeys(
  folder: KeysFolder,
  revoked: RevokedKeys,
  now: number,
  known: Pick<LoadedKeys, 'signers' | 'refreshKeys'> = { signers: new Map(), refreshKeys: [] },
): Promise<LoadedKeys> {
  const manifest = await readKeyring(folder)
  // An emptied or unmounted folder is a fault, not an order to stop: keys are taken away by revoking them.
  if (manifest.length === 0 && known.signers.size > 0)
    throw new OperatorError(`keys: the keyring in ${folder.dir} is gone`)
  if (manifest.length === 0) throw noSigningKey(folder)
  await seeRevoked(revoked, folder, manifest, now)

  const mayStillSign = (entry: KeyEntry) =>
    entry.revoked_at === null && (entry.sign_until === null || entry.sign_until > now)
  const signing = revoked.applyTo(manifest).filter(mayStillSign)
  if (signing.length === 0 && manifest.some(mayStillSign)) throw allRevoked(folder, 'key that could sign', 'rotate')
  const signers = new Map<string, webcrypto.CryptoKey>()
  for (const { kid } of signing) signers.set(kid, known.signers.get(kid) ?? (await importSigner(folder, kid)))

  const refreshKeys = await readRefreshKeys(folder, known.refreshKeys)
  if (refreshKeys.length === 0) {
    throw new OperatorError(`keys: there is no refresh key in ${folder.dir}`, {
      hint: 'make one: npm run keys -- rotate',
    })
  }
  if (refreshKeys.every(({ id }) => revoked.has(id))) throw allRevoked(folder, 'refresh key', 'rotate-refresh')
  return { manifest, signers, refreshKeys }
}

/** Remembers the keys that the folder calls revoked. */
export async function seeRevoked(
  revoked: RevokedKeys,
  folder: KeysFolder,
  manifest: Keyring,
  now: number,
): Promise<void> {
  revoked.see(manifest.flatMap(({ kid, revoked_at }) => (revoked_at === null ? [] : [{ kid, revokedAt: revoked_at }])))
  const marked = await revokedRefreshIds(folder).catch(() => []) // a folder that can't be listed says nothing
  revoked.see(marked.map((kid) => ({ kid, revokedAt: now })))
}

export function noSigningKey(folder: KeysFolder): OperatorError {
  return new OperatorError(`keys: no key in ${folder.dir} can sign`, { hint: 'make one: npm run keys -- rotate' })
}

function allRevoked(folder: KeysFolder, what: string, command: string): OperatorError {
  return new OperatorError(
    `keys: every ${what} in ${folder.dir} was revoked: the folder is older than the revocation`,
    {
      hint: `put the newest copy of the folder back, or make a new key: npm run keys -- ${command}`,
    },
  )
}

async function importSigner(folder: KeysFolder, kid: string): Promise<webcrypto.CryptoKey> {
  const key = await readPrivateKey(folder, kid)
  return key.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['sign'])
}
