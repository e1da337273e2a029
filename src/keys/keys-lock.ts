import { constants } from 'node:fs'
import { lstat, mkdir, open } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { OperatorError } from '../errors/app-error.ts'
import { giveToOwner, type KeysFolder, notWritable } from './keys-folder.ts'

const SQLITE_BUSY = 5
const { O_CREAT, O_EXCL, O_RDWR, O_RDONLY } = constants
const NOFOLLOW = constants.O_NOFOLLOW ?? 0 // Windows has neither
const DIRECTORY = constants.O_DIRECTORY ?? 0

export const lockPath = ({ dir }: Pick<KeysFolder, 'dir'>) => join(dir, '.lock')

/**
 * Runs `work` while no other process changes this folder. The lock is SQLite's own lock on an empty file: the kernel
 * releases it when the process ends, so a killed script leaves nothing to clean up.
 *
 * @param waitSeconds how long to wait for another process that holds the lock
 * @throws OperatorError when another process still holds it after that, or the folder can't be written
 */
export async function withKeysLock<T>(folder: KeysFolder, work: () => Promise<T>, waitSeconds = 0): Promise<T> {
  await prepare(folder).catch((cause) => {
    throw cause instanceof OperatorError ? cause : notWritable(folder, cause)
  })
  let lock = tryLock(folder)
  for (let waited = 0; lock === undefined && waited < waitSeconds * 1000; waited += 50) {
    await setTimeout(50)
    lock = tryLock(folder)
  }
  if (lock === undefined) {
    throw new OperatorError(`keys: another process is changing ${folder.dir}`, {
      hint: 'let it finish, then look: npm run keys -- list',
    })
  }
  try {
    return await work()
  } finally {
    lock.close()
  }
}

async function prepare(folder: KeysFolder): Promise<void> {
  const first = await mkdir(folder.dir, { recursive: true, mode: 0o700 })
  if (first !== undefined) await giveFolders(resolve(first), resolve(folder.dir))
  await makePrivateLockFile(folder)
}

/** Gives the folders that were just made, `first` and those below it down to `last`, to the owner of the one above. */
async function giveFolders(first: string, last: string): Promise<void> {
  const above = dirname(first)
  for (let dir = last; dir.length >= first.length; dir = dirname(dir)) {
    if (process.geteuid?.() !== 0) return
    const handle = await open(dir, O_RDONLY | DIRECTORY | NOFOLLOW)
    await giveToOwner(handle, above).finally(() => handle.close())
  }
}

/**
 * The lock file must be private: whoever may read a file may lock it, and so block every change of the keyring. It must
 * be a file of this folder: root would follow a link out of it, and create or lock whatever it leads to (CWE-59).
 */
async function makePrivateLockFile(folder: KeysFolder): Promise<void> {
  const path = lockPath(folder)
  const found = await lstat(path).catch((cause) => {
    if (cause.code !== 'ENOENT') throw cause
  })
  if (found !== undefined && (!found.isFile() || found.nlink !== 1)) throw notOurs(path)
  const isRoot = process.geteuid?.() === 0
  // Opening is avoided where nothing is to do: closing a file ends this process's locks on it (POSIX).
  if (found !== undefined && (found.mode & 0o777) === 0o600 && !isRoot) return
  const flags = O_RDWR | NOFOLLOW | (found === undefined ? O_CREAT | O_EXCL : 0)
  const file = await open(path, flags, 0o600).catch(async (cause) => {
    if (cause.code === 'ELOOP') throw notOurs(path)
    if (cause.code === 'EEXIST') return undefined // another process made it in between
    throw cause
  })
  if (file === undefined) return makePrivateLockFile(folder)
  try {
    await file.chmod(0o600)
    await giveToOwner(file, folder.dir)
  } finally {
    await file.close()
  }
}

/**
 * Gives a lock file that root made to the owner of the folder: earlier versions left it to root, and nobody else could
 * take the lock. For root, before it acts as the owner. A link is left alone: whoever takes the lock refuses it.
 */
export async function giveLockToOwner(folder: KeysFolder): Promise<void> {
  const found = await lstat(lockPath(folder)).catch(() => undefined)
  if (found?.isFile() !== true || found.nlink !== 1) return
  const file = await open(lockPath(folder), O_RDONLY | NOFOLLOW).catch(() => undefined)
  // A folder that is mounted read-only: whoever takes the lock is told so.
  await (file && giveToOwner(file, folder.dir).catch(() => undefined))
  await file?.close()
}

function notOurs(path: string): OperatorError {
  return new OperatorError(`KEYS_DIR: ${path} is not a plain file of this folder`, {
    hint: `find out who put it there, then delete it: rm ${path}`,
  })
}

/** @returns undefined when another process holds the lock */
function tryLock(folder: KeysFolder): DatabaseSync | undefined {
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(lockPath(folder), { timeout: 0 })
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (cause) {
    lock?.close()
    if (((cause as { errcode?: number }).errcode ?? 0) === SQLITE_BUSY) return undefined
    throw notWritable(folder, cause)
  }
}
