import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { makeFirstKey } from '../../src/keys/change-keyring.ts'
import type { KeysFolder } from '../../src/keys/keys-folder.ts'
import { type KeyringEvent, openLiveKeyring } from '../../src/keys/live-keyring.ts'
import type { RevokedKey, RevokedKeyStore } from '../../src/keys/revoked-key-store.ts'
import { temporaryFolder } from './app.ts'

// The keyring of a server, without the server.

/** A table of revoked keys that can be out of reach. */
export class Table implements RevokedKeyStore {
  readonly rows = new Map<string, RevokedKey>()
  away = false

  async all() {
    if (this.away) throw new Error('away')
    return [...this.rows.values()]
  }

  async add(keys: readonly RevokedKey[]) {
    if (this.away) throw new Error('away')
    for (const key of keys) this.rows.set(key.kid, key)
  }
}

export async function firstKeys(t: Test): Promise<KeysFolder> {
  const folder = { dir: join(await temporaryFolder(t), 'keys'), passphrase: undefined }
  await makeFirstKey(folder, systemClock)
  return folder
}

export async function copyOfKeys(t: Test, folder: KeysFolder): Promise<KeysFolder> {
  const copy = { ...folder, dir: join(await temporaryFolder(t), 'keys') }
  await cp(folder.dir, copy.dir, { recursive: true })
  return copy
}

/** A server on a folder: its keyring, and what it reported. */
export async function keyringOf(folder: KeysFolder, store: RevokedKeyStore) {
  const events: KeyringEvent[] = []
  const keyring = await openLiveKeyring({
    folder,
    timing: { jwksMaxAge: 300, skew: 5 },
    ttl: 600,
    now: systemClock,
    store,
    report: (event) => void events.push(event),
  })
  const published = () => JSON.parse(String(keyring.jwks().body)).keys.map(({ kid }: { kid: string }) => kid)
  const reported = (member: string) => events.filter((event) => member in event)
  return { keyring, published, reported }
}
