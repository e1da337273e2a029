import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { SessionStorage, StoredSession } from './storage.ts'

/**
 * A storage in a file that only its owner can read (mode 0600, its folder 0700 when it has to be made). It is replaced
 * as a whole: a process that is killed leaves the old file or the new one. Several processes may use one file: each
 * looks into it before it refreshes, and takes what another has written.
 *
 * @param path below the person's home; never in a folder that is synchronised or backed up in plain text
 * @throws (from its calls) what the file system throws; a file that holds no JSON counts as no session
 */
export function fileStorage(path: string): SessionStorage {
  return {
    async get() {
      const text = await readFile(path, 'utf8').catch((error) => {
        if (error.code === 'ENOENT') return ''
        throw error
      })
      return parsed(text)
    },
    async set(value) {
      if (value === null) return rm(path, { force: true })
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await replace(path, JSON.stringify(value))
    },
  }
}

function parsed(text: string): StoredSession | null {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Temporary file, fsync, rename. */
async function replace(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
