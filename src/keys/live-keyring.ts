import type { webcrypto } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { AppError, OperatorError } from '../errors/app-error.ts'
import { toPem } from './jwk.ts'
import { type JwksDocument, jwksDocument } from './jwks.ts'
import { type Keyring, type KeyringView, type Phase, phase, viewAt } from './keyring.ts'
import type { KeysFolder } from './keys-folder.ts'
import { readKeyring, readManifest } from './manifest.ts'
import { readPrivateKey } from './private-keys.ts'
import { type RefreshKey, readRefreshKeys, unrevokedRefreshKeys } from './refresh-keys.ts'
import { jwksMaxAge, type Timing, unsafePlans } from './rotation.ts'

export interface SigningKey {
  readonly kid: string
  readonly key: webcrypto.CryptoKey
}

/** `stale`: the folder holds something that can't be used, and the previous keyring stays in force. */
export type KeyringState = 'ok' | 'stale' | 'failed'

/** The keyring as a running server uses it: in memory, and always evaluated at the current instant. */
export interface LiveKeyring {
  /** The SPKI PEM that verifies tokens of this kid now; undefined for a kid that is unknown, retired or revoked. */
  verificationPem(kid: string): string | undefined
  /** @throws AppError `signing_unavailable` when no key may sign now */
  signingKey(): SigningKey
  /**
   * The HMAC keys of refresh tokens: the one in use and those that are still accepted.
   *
   * @throws AppError `signing_unavailable` when every one was revoked and no other can be read. It is not
   *   `invalid_refresh_token`, which would tell every client to log in again
   */
  refreshKeys(): readonly RefreshKey[]
  jwks(): JwksDocument
  /** Every kid that was ever revoked: the feed tells verifiers, which may still hold an older JWKS. */
  revokedKids(): readonly string[]
  /** Seconds for which a cache may keep the JWKS. */
  jwksMaxAge(): number
  state(): KeyringState
  /** The phase of every key of the keyring at this instant. */
  phases(): readonly { readonly phase: Phase; readonly signFrom: number }[]
  /**
   * Reads the folder again. Never throws: what can't be used is reported once, and the previous keyring stays in force.
   */
  reload(): Promise<void>
}

export interface LiveKeyringOptions {
  readonly folder: KeysFolder
  readonly timing: Timing
  /** Lifetime of an access token, in seconds. */
  readonly ttl: number
  readonly now: Clock
  /** Called for every change that came into force, and once for every state of the folder that can't be used. */
  readonly report: (event: { readonly changed: Keyring } | { readonly unusable: Error }) => void
}

interface Loaded {
  readonly keyring: Keyring
  readonly signers: ReadonlyMap<string, webcrypto.CryptoKey>
  readonly refreshKeys: readonly RefreshKey[]
}

interface View extends KeyringView {
  readonly pems: ReadonlyMap<string, string>
  readonly jwks: JwksDocument
  readonly revokedKids: readonly string[]
}

/**
 * Loads the keyring and every private half that may still sign.
 *
 * @throws OperatorError when no key in the folder can sign, when one can't be used, or when the settings make a plan
 *   unsafe: a server must not find that out at the first login
 */
export async function openLiveKeyring({ folder, timing, ttl, now, report }: LiveKeyringOptions): Promise<LiveKeyring> {
  let { keyring, signers, refreshKeys } = await load(folder, now())
  let view = present(keyring, now())
  if (view.current === undefined) throw noSigningKey(folder)
  const [unsafe] = unsafePlans(keyring, now(), timing, ttl)
  if (unsafe !== undefined)
    throw new OperatorError(`keys: ${unsafe}`, { hint: 'go back to the old setting until that key signs' })

  let unusable: string | undefined
  let reloading: Promise<void> | undefined

  const currentView = (): View => {
    const instant = now()
    if (instant < view.validFrom || instant >= view.validUntil) view = present(keyring, instant)
    return view
  }
  const signer = () => {
    const kid = currentView().current?.kid ?? ''
    const key = signers.get(kid)
    return key && { kid, key }
  }
  /**
   * A revoked key is not used, whatever else is wrong in the folder: a revocation must not wait until somebody has
   * repaired the rest.
   */
  const applyRevocations = async () => {
    refreshKeys = await unrevokedRefreshKeys(folder, refreshKeys)
    const manifest = await readManifest(folder).catch(() => [])
    const revokedAt = new Map(manifest.map((entry) => [entry.kid, entry.revoked_at]))
    const after = keyring.map((entry) => ({
      ...entry,
      revoked_at: entry.revoked_at ?? revokedAt.get(entry.kid) ?? null,
    }))
    if (JSON.stringify(after) === JSON.stringify(keyring)) return
    keyring = after
    view = present(keyring, now())
    report({ changed: keyring })
  }
  const reload = async () => {
    try {
      const loaded = await load(folder, now(), { signers, refreshKeys })
      unusable = undefined
      const unchanged = JSON.stringify(loaded.keyring) === JSON.stringify(keyring)
      ;({ keyring, signers, refreshKeys } = loaded)
      if (unchanged) return
      view = present(keyring, now())
      report({ changed: keyring })
    } catch (error) {
      await applyRevocations()
      const { message } = error as Error
      if (message !== unusable) report({ unusable: error as Error })
      unusable = message
    }
  }
  return {
    verificationPem: (kid) => currentView().pems.get(kid),
    signingKey() {
      const key = signer()
      if (key === undefined) throw new AppError('signing_unavailable', { reason: 'no key of the keyring may sign now' })
      return key
    },
    refreshKeys() {
      if (refreshKeys.length === 0) throw new AppError('signing_unavailable', { reason: 'no refresh key can be used' })
      return refreshKeys
    },
    jwks: () => currentView().jwks,
    revokedKids: () => currentView().revokedKids,
    jwksMaxAge: () => jwksMaxAge(keyring, now(), timing),
    phases: () => keyring.map((entry) => ({ phase: phase(entry, now()), signFrom: entry.sign_from })),
    state() {
      if (signer() === undefined || refreshKeys.length === 0) return 'failed'
      return unusable === undefined ? 'ok' : 'stale'
    },
    reload() {
      reloading ??= reload().finally(() => {
        reloading = undefined
      })
      return reloading
    },
  }
}

/** @param known keys that were read before and need not be read again */
async function load(
  folder: KeysFolder,
  now: number,
  known: Pick<Loaded, 'signers' | 'refreshKeys'> = { signers: new Map(), refreshKeys: [] },
): Promise<Loaded> {
  const keyring = await readKeyring(folder)
  // An emptied or unmounted folder is a fault, not an order to stop: keys are taken away by revoking them.
  if (keyring.length === 0 && known.signers.size > 0)
    throw new OperatorError(`keys: the keyring in ${folder.dir} is gone`)
  if (keyring.length === 0) throw noSigningKey(folder)
  const signers = new Map<string, webcrypto.CryptoKey>()
  for (const { kid } of keyring.filter((entry) => mayStillSign(entry, now))) {
    signers.set(kid, known.signers.get(kid) ?? (await importSigner(folder, kid)))
  }
  const refreshKeys = await readRefreshKeys(folder, known.refreshKeys)
  if (refreshKeys.length === 0) {
    throw new OperatorError(`keys: there is no refresh key in ${folder.dir}`, {
      hint: 'make one: npm run keys -- rotate',
    })
  }
  return { keyring, signers, refreshKeys }
}

function noSigningKey(folder: KeysFolder): OperatorError {
  return new OperatorError(`keys: no key in ${folder.dir} can sign`, { hint: 'make one: npm run keys -- rotate' })
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
    revokedKids: keyring.filter(({ revoked_at }) => revoked_at !== null).map(({ kid }) => kid),
  }
}
