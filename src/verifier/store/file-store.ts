import { createHash, randomUUID } from 'node:crypto'
import { constants, mkdirSync, type Stats, statSync } from 'node:fs'
import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../clock.ts'
import { MAX_STORED_CHARACTERS, type VerifierStore } from './verifier-store.ts'

/** Texts are ASCII, nearly always. */
const MAX_FILE_BYTES = 2 * MAX_STORED_CHARACTERS
const UNFINISHED = '.unfinished'
/** A temporary file that is older was left by a process that is no more: writing one takes milliseconds. */
const LEFT_BEHIND_MS = 60_000
/** Write permission of the group and of everybody. */
const OTHERS_WRITE = 0o022

/**
 * A store in a folder of this machine, for services of Node: keys and revocations outlive a restart. Each text is a
 * file that is replaced as a whole (temporary file, fsync, rename, mode 0600), so a process that is killed leaves the
 * old text or the new one. Several processes of one user may share the folder. It is made, for its owner only, when it
 * is not there.
 *
 * Whoever can write there can sign tokens for this service. So a folder or file that others may write to, or that
 * belongs to another user, is refused; on Windows, which has other permissions, this is not checked.
 *
 * @param folder of this service alone, on a local disk
 * @throws Error when the folder is not safe or can't be made; its calls throw Error when that, or a file, is so later
 */
export function fileStore(folder: string): VerifierStore {
  if (typeof folder !== 'string' || folder === '') throw new TypeError('fileStore: the path of a folder is needed')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  assertOwn(folder, statSync(folder))
  let swept: Promise<void> | undefined
  return {
    async get(name) {
      await assertFolder(folder)
      return read(join(folder, fileName(name)))
    },
    async put(name, value) {
      await assertFolder(folder)
      swept ??= sweep(folder)
      await swept
      await replace(join(folder, fileName(name)), value)
    },
  }
}

/** Different for each name, safe in every file system, and still to be recognised by people. */
function fileName(name: string): string {
  const shown = name.replaceAll(/[^A-Za-z0-9-]/g, '_').slice(0, 60)
  return `${shown}-${createHash('sha256').update(name).digest('hex').slice(0, 16)}.txt`
}

/** @throws Error when others may write there */
function assertOwn(path: string, { uid, mode }: Pick<Stats, 'uid' | 'mode'>): void {
  const own = process.geteuid?.()
  if (own === undefined) return
  const shown = JSON.stringify(path)
  if (uid !== own && uid !== 0)
    throw new Error(`fileStore: ${shown} belongs to another user (${uid}), who could sign tokens: give it to this one`)
  if ((mode & OTHERS_WRITE) !== 0)
    throw new Error(`fileStore: other users may write to ${shown}, and could sign tokens: chmod go-w ${shown}`)
}

/** @throws Error when others may write there */
async function assertFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch((error) => {
    if (error.code !== 'ENOENT') throw error
    mkdirSync(folder, { recursive: true, mode: 0o700 }) // somebody cleaned up
    return statSync(folder)
  })
  assertOwn(folder, found)
}

/** @returns undefined when there is no such file */
async function read(path: string): Promise<string | undefined> {
  // The file itself and not one that a link leads to; NONBLOCK, so that a pipe in its place does not stop us.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
  const file = await open(path, flags).catch((error) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return undefined
  try {
    const found = await file.stat()
    if (!found.isFile()) throw new Error(`fileStore: ${JSON.stringify(path)} is not a file`)
    assertOwn(path, found)
    if (found.size > MAX_FILE_BYTES) throw new Error(`fileStore: ${JSON.stringify(path)} is too large`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/** Temporary file, fsync, rename. */
async function replace(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}${UNFINISHED}`
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

/** Deletes what crashes left. It is tidiness, and no reason to fail. */
async function sweep(folder: string): Promise<void> {
  const before = systemClock() * 1000 - LEFT_BEHIND_MS
  const left = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(UNFINISHED))
  for (const path of left.map((name) => join(folder, name))) {
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined && found.mtimeMs < before) await rm(path, { force: true }).catch(() => undefined)
  }
}
