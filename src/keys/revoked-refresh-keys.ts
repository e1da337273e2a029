import { join } from 'node:path'
import { toTimestamp } from '../clock.ts'
import { deleteFile, type KeysFolder, namesIn, syncFolder, writeDurably } from './keys-folder.ts'

// A revoked refresh key leaves a mark, `refresh-<id>.revoked`. It stays for ever: from it the servers learn that the
// key was revoked, and not lost, or deleted because it was too old.

/** The ids of the refresh keys that are marked in a listing of the folder. */
export function revokedAmong(names: readonly string[]): string[] {
  return names.flatMap((name) => /^refresh-([\w-]{11})\.revoked$/.exec(name)?.[1] ?? [])
}

/**
 * The ids of the refresh keys that were revoked in this folder.
 *
 * @throws KeyFileError when the folder can't be listed
 */
export async function revokedRefreshIds(folder: KeysFolder): Promise<string[]> {
  return revokedAmong(await namesIn(folder))
}

/**
 * Marks a refresh key as revoked. The caller holds the lock of the folder, and deletes the key then.
 *
 * @throws OperatorError when the folder can't be written
 */
export async function markRevoked(folder: KeysFolder, id: string, now: number): Promise<void> {
  const text = `revoked at ${toTimestamp(now)}; keep this file\n`
  await writeDurably(join(folder.dir, `refresh-${id}.revoked`), text, 0o644)
  await syncFolder(folder.dir)
}

/** Deletes the keys that a killed `revoke-refresh` left behind its mark. The caller holds the lock of the folder. */
export async function deleteRevokedRefreshKeys(folder: KeysFolder): Promise<void> {
  for (const id of await revokedRefreshIds(folder)) await deleteFile(join(folder.dir, `refresh-${id}.json`))
}
