import { AppError } from '../errors/app-error.ts'
import { toPem } from './jwk.ts'
import { type JwksDocument, jwksDocument } from './jwks.ts'
import { type Keyring, type KeyringView, phase, viewAt } from './keyring.ts'
import type { KeyringState, LiveKeyring, LiveKeyringOptions, SigningKey } from './live-keyring.ts'
import { type LoadedKeys, loadKeys, noSigningKey, seeRevoked } from './load-keys.ts'
import { readManifest } from './manifest.ts'
import { newestRun } from './newest-run.ts'
import { type RefreshKey, unrevokedRefreshKeys } from './refresh-keys.ts'
import type { RevokedKeys } from './revoked-keys.ts'
import { jwksMaxAge } from './rotation.ts'

interface View extends KeyringView {
  readonly pems: ReadonlyMap<string, string>
  readonly jwks: JwksDocument
}

/** The live keyring of a keys folder. `openLiveKeyring` makes it; the promises are on the interface. */
export class FolderKeyring implements LiveKeyring {
  readonly #options: LiveKeyringOptions
  readonly #revoked: RevokedKeys
  /** What was read from the folder, as it stands there. */
  #loaded: LoadedKeys
  /** What is in force: the same, in which every key that was ever revoked is revoked. */
  entries: Keyring
  #refreshKeys: readonly RefreshKey[]
  #view: View
  // What was reported last, so that each state is reported once.
  #signer: string | undefined
  #unusable: string | undefined
  #outdated: readonly string[] = []
  #storeLost = false
  readonly #reloadFolder = newestRun(() => this.#readFolder())
  readonly #sync = newestRun(() => this.#syncStore())

  /** @throws OperatorError when no key can sign */
  constructor(options: LiveKeyringOptions, revoked: RevokedKeys, loaded: LoadedKeys) {
    this.#options = options
    this.#revoked = revoked
    this.#loaded = loaded
    this.entries = revoked.applyTo(loaded.manifest)
    this.#refreshKeys = loaded.refreshKeys.filter(({ id }) => !revoked.has(id))
    this.#view = present(this.entries, options.now())
    if (this.#view.current === undefined) throw noSigningKey(options.folder)
    this.#signer = this.#view.current.kid
  }

  verificationPem(kid: string): string | undefined {
    return this.#currentView().pems.get(kid)
  }

  isRevoked(kid: string): boolean {
    return this.#revoked.has(kid)
  }

  signingKey(): SigningKey {
    const key = this.#signingKey()
    if (key === undefined) throw new AppError('signing_unavailable', { reason: 'no key of the keyring may sign now' })
    return key
  }

  refreshKeys(): readonly RefreshKey[] {
    if (this.#refreshKeys.length === 0) {
      throw new AppError('signing_unavailable', { reason: 'no refresh key can be used' })
    }
    return this.#refreshKeys
  }

  jwks(): JwksDocument {
    return this.#currentView().jwks
  }

  revokedKids(): readonly string[] {
    return this.#revoked.signingKids()
  }

  jwksMaxAge(): number {
    return jwksMaxAge(this.entries, this.#options.now(), this.#options.timing)
  }

  phases() {
    const now = this.#options.now()
    return this.entries.map((entry) => ({ phase: phase(entry, now), signFrom: entry.sign_from }))
  }

  state(): KeyringState {
    if (this.#signingKey() === undefined || this.#refreshKeys.length === 0) return 'failed'
    if (this.#outdated.length > 0) return 'outdated'
    return this.#unusable === undefined ? 'ok' : 'stale'
  }

  /** The folder first, and by itself: a store that hangs must not keep a change of the folder away. */
  readonly reload = async (): Promise<void> => {
    await this.#reloadFolder()
    await this.#sync()
  }

  #currentView(): View {
    const instant = this.#options.now()
    if (instant < this.#view.validFrom || instant >= this.#view.validUntil) {
      this.#view = present(this.entries, instant)
    }
    return this.#view
  }

  #signingKey(): SigningKey | undefined {
    const kid = this.#currentView().current?.kid ?? ''
    const key = this.#loaded.signers.get(kid)
    return key && { kid, key }
  }

  async #readFolder(): Promise<void> {
    const { folder, now, report } = this.#options
    try {
      this.#loaded = await loadKeys(folder, this.#revoked, now(), this.#loaded)
      this.#unusable = undefined
      this.#putInForce()
      this.#judgeFolder(this.#loaded)
    } catch (error) {
      await this.#applyRevocations()
      const { message } = error as Error
      if (message !== this.#unusable) report({ unusable: error as Error })
      this.#unusable = message
    }
    this.#reportSigner()
  }

  /**
   * A revoked key is not used, whatever else is wrong in the folder: a revocation must not wait until somebody has
   * repaired the rest.
   */
  async #applyRevocations(): Promise<void> {
    const { folder, now } = this.#options
    const manifest = await readManifest(folder).catch(() => [])
    await seeRevoked(this.#revoked, folder, manifest, now())
    const refreshKeys = await unrevokedRefreshKeys(folder, this.#loaded.refreshKeys)
    // When all that the folder has are revoked ones, those in memory are the better ones.
    const isOutdated = refreshKeys.length > 0 && refreshKeys.every(({ id }) => this.#revoked.has(id))
    if (!isOutdated) this.#loaded = { ...this.#loaded, refreshKeys }
    this.#putInForce()
    this.#judgeFolder({ manifest, refreshKeys })
  }

  #putInForce(): void {
    const { manifest, refreshKeys } = this.#loaded
    this.#refreshKeys = refreshKeys.filter(({ id }) => !this.#revoked.has(id))
    const entries = this.#revoked.applyTo(manifest)
    if (JSON.stringify(entries) === JSON.stringify(this.entries)) return
    this.entries = entries
    this.#view = present(entries, this.#options.now())
    this.#options.report({ changed: entries })
  }

  /** Does the folder hold a key as if it were good that was revoked? Then it is older than that revocation. */
  #judgeFolder({ manifest, refreshKeys }: Pick<LoadedKeys, 'manifest' | 'refreshKeys'>): void {
    const { now, report } = this.#options
    const outdated = [
      ...manifest.filter((entry) => !['revoked', 'retired'].includes(phase(entry, now()))).map(({ kid }) => kid),
      ...refreshKeys.map(({ id }) => id),
    ].filter((kid) => this.#revoked.has(kid))
    if (outdated.length > 0 && outdated.join() !== this.#outdated.join()) report({ outdated })
    this.#outdated = outdated
  }

  #reportSigner(): void {
    const before = this.#signer
    this.#signer = this.#currentView().current?.kid
    if (this.#signer !== undefined && this.#signer !== before) this.#options.report({ signs: this.#signer, before })
  }

  async #syncStore(): Promise<void> {
    try {
      const news = await this.#revoked.sync()
      this.#storeLost = false
      if (!news) return
      this.#putInForce()
      await this.#reloadFolder() // is the folder outdated, or was it only read too early?
    } catch (error) {
      if (!this.#storeLost) this.#options.report({ storeLost: error as Error })
      this.#storeLost = true
    }
  }
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
