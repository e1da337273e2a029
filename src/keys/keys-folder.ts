import { constants } from 'node:fs'
import { chmod, type FileHandle, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { OperatorError } from '../errors/app-error.ts'

const SQLITE_BUSY = 5

/** The path of a keys folder, and the passphrase of its private keys if they are encrypted. */
export interface KeysFolder {
  readonly dir: string
  readonly passphrase: string | undefined
}

/**
 * Reads the passphrase: the first line of the file.
 *
 * @returns undefined when no file is configured
 * @throws OperatorError when the file can't be read or its first line is empty
 */
export async function readPassphrase(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  const text = await readFile(file, 'utf8').catch((cause) => {
    throw new OperatorError(`KEY_PASSPHRASE_FILE: can't read ${file}: ${cause.code}`, {
      cause,
      hint: 'make it readable for the server',
    })
  })
  const line = text.split(/\r?\n/, 1)[0] ?? ''
  if (line === '') throw new OperatorError(`KEY_PASSPHRASE_FILE: the first line of ${file} is empty`)
  return line
}

/**
 * Runs `work` while no other process changes this folder. The lock is SQLite's own lock on an empty file: the kernel
 * releases it when the process ends, so a killed script leaves nothing to clean up.
 *
 * @param waitSeconds how long to wait for another process that holds the lock
 * @throws OperatorError when another process still holds it after that, or the folder can't be written
 */
export async function withKeysLock<T>(folder: KeysFolder, work: () => Promise<T>, waitSeconds = 0): Promise<T> {
  await mkdir(folder.dir, { recursive: true, mode: 0o700 }).catch((cause) => {
    throw notWritable(folder, cause)
  })
  await makePrivateLockFile(folder).catch((cause) => {
    throw notWritable(folder, cause)
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

/** The lock file must be private: whoever may read a file may lock it, and so block every change of the keyring. */
async function makePrivateLockFile(folder: KeysFolder): Promise<void> {
  const path = join(folder.dir, '.lock')
  const file = await open(path, 'a', 0o600)
  await file.close()
  await chmod(path, 0o600)
}

/** @returns undefined when another process holds the lock */
function tryLock(folder: KeysFolder): DatabaseSync | undefined {
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(join(folder.dir, '.lock'), { timeout: 0 })
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (cause) {
    lock?.close()
    if (((cause as { errcode?: number }).errcode ?? 0) === SQLITE_BUSY) return undefined
    throw notWritable(folder, cause)
  }
}

const WRITABLE = 'the folder must be writable for this user, and its disk have room'

function notWritable(folder: KeysFolder, cause: unknown): OperatorError {
  const { message, code } = cause as NodeJS.ErrnoException
  const isSystemError = code?.startsWith('E') && !code.startsWith('ERR')
  const why = isSystemError ? code : message // SQLite's errors have a message only
  return new OperatorError(`KEYS_DIR: can't write in ${folder.dir}: ${why}`, { cause, hint: WRITABLE })
}

/**
 * Creates a file that must not exist yet. Resolves once its content is on disk.
 *
 * @throws OperatorError when the file exists or can't be written whole; nothing is left behind then
 */
export async function writeDurably(path: string, text: string, mode: number): Promise<void> {
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY
  const file = await open(path, flags, mode).catch((cause) => {
    throw cannotWrite(path, cause)
  })
  try {
    await file.writeFile(text)
    if (process.getuid?.() === 0) await giveToOwner(file, dirname(path))
    await file.sync()
  } catch (cause) {
    await rm(path, { force: true })
    throw cannotWrite(path, cause)
  } finally {
    await file.close()
  }
}

function cannotWrite(path: string, cause: unknown): OperatorError {
  const { code } = cause as NodeJS.ErrnoException
  const hint = code === 'EEXIST' ? 'an existing private key is never overwritten' : WRITABLE
  return new OperatorError(`keys: can't write ${path}: ${code}`, { cause, hint })
}

/**
 * Replaces a file as a whole: a reader sees the old content or all of the new one, and so does a reader after a crash.
 * The caller holds the lock of the folder.
 *
 * @throws OperatorError when there is no room for it
 */
export async function replaceDurably(path: string, text: string, mode: number): Promise<void> {
  const temporary = unfinishedPath({ dir: dirname(path) })
  await rm(temporary, { force: true })
  await writeDurably(temporary, text, mode)
  await rename(temporary, path)
  await syncFolder(dirname(path))
}

/**
 * The temporary path of a file that is being replaced. It is the same for every file, so that the next run finds and
 * deletes what a crash left.
 */
export const unfinishedPath = ({ dir }: Pick<KeysFolder, 'dir'>) => join(dir, 'unfinished.tmp')

/**
 * When root runs a script, the file is given to the owner of the folder: the user who runs the server must be able to
 * read it.
 */
async function giveToOwner(file: FileHandle, dir: string): Promise<void> {
  const { uid, gid } = await stat(dir)
  await file.chown(uid, gid)
}

/** Makes created, renamed and deleted names in a folder durable (fsync of the folder). */
export async function syncFolder(dir: string): Promise<void> {
  if (process.platform === 'win32') return // Windows has no fsync on folders
  const handle = await open(dir, 'r')
  await handle.sync().finally(() => handle.close())
}
