import type { webcrypto } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { AppError, OperatorError } from '../errors.ts'
import { toPem } from './jwk.ts'
import { type JwksDocument, jwksDocument } from './jwks.ts'
import { firstEntry, type Keyring, type KeyringView, viewAt } from './keyring.ts'
import { type KeysFolder, makeKey, readKeyring, readPrivateKey, withKeysLock, writeKeyring } from './keyring-files.ts'

export interface SigningKey {
  readonly kid: string
  readonly key: webcrypto.CryptoKey
}

/** The keyring as a running server uses it: always of this instant, from memory. */
export interface LiveKeyring {
  /** The SPKI PEM that verifies tokens of this kid now; undefined for a kid that is unknown, retired or revoked. */
  verificationPem(kid: string): string | undefined
  /** @throws AppError `internal` when no key may sign now */
  signingKey(): SigningKey
  jwks(): JwksDocument
  /** Seconds for which a cache may keep the JWKS. */
  jwksMaxAge(): number
  /** True when a key can sign. */
  ready(): boolean
}

interface View extends KeyringView {
  readonly pems: ReadonlyMap<string, string>
  readonly jwks: JwksDocument
}

/**
 * Loads the keyring and every private half that may still sign.
 *
 * @throws OperatorError when the folder holds no key, or one that can't be used: a server must not find out at the first login
 */
export async function openLiveKeyring(options: {
  folder: KeysFolder
  maxAge: number
  now: Clock
}): Promise<LiveKeyring> {
  const { folder, maxAge, now } = options
  const keyring = await readKeyring(folder)
  const signers = new Map<string, webcrypto.CryptoKey>()
  for (const { kid } of keyring.filter((entry) => mayStillSign(entry, now())))
    signers.set(kid, await importSigner(folder, kid))

  let view = present(keyring, now())
  if (view.current === undefined) {
    throw new OperatorError(`keys: no key in ${folder.dir} can sign`, { hint: 'make one: npm run keys -- rotate' })
  }

  const currentView = (): View => {
    const instant = now()
    if (instant < view.validFrom || instant >= view.validUntil) view = present(keyring, instant)
    return view
  }
  return {
    verificationPem: (kid) => currentView().pems.get(kid),
    signingKey() {
      const kid = currentView().current?.kid ?? ''
      const key = signers.get(kid)
      if (key === undefined) throw new AppError('internal', { reason: 'no key of the keyring may sign now' })
      return { kid, key }
    },
    jwks: () => currentView().jwks,
    jwksMaxAge: () => maxAge,
    ready: () => signers.has(currentView().current?.kid ?? ''),
  }
}

/**
 * Makes the first key of an empty folder.
 *
 * @returns its kid, or undefined when there are keys already
 */
export async function makeFirstKey(folder: KeysFolder, now: Clock, bits: number): Promise<string | undefined> {
  if ((await readKeyring(folder)).length > 0) return undefined
  return withKeysLock(
    folder,
    async () => {
      if ((await readKeyring(folder)).length > 0) return undefined // another process was first
      const jwk = await makeKey(folder, bits)
      await writeKeyring(folder, [firstEntry(jwk, now())])
      return jwk.kid
    },
    10,
  )
}

function mayStillSign(entry: Keyring[number], now: number): boolean {
  return entry.revoked_at === null && (entry.sign_until === null || entry.sign_until > now)
}

async function importSigner(folder: KeysFolder, kid: string): Promise<webcrypto.CryptoKey> {
  const key = await readPrivateKey(folder, kid)
  return key.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['sign'])
}

// A Map, never a plain object: `kid` is the attacker's text, and "constructor" would find an inherited member.
function present(keyring: Keyring, now: number): View {
  const view = viewAt(keyring, now)
  return {
    ...view,
    pems: new Map(view.published.map(({ kid, jwk }) => [kid, toPem(jwk)])),
    jwks: jwksDocument(view.published.map(({ jwk }) => jwk)),
  }
}
