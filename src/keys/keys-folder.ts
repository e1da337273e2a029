import { constants } from 'node:fs'
import { type FileHandle, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { OperatorError } from '../errors/app-error.ts'

/** The path of a keys folder, and the passphrase of its private keys if they are encrypted. */
export interface KeysFolder {
  readonly dir: string
  readonly passphrase: string | undefined
}

/**
 * Why a key file can't be used. `unreadable`: this process may not read it, or the disk fails; nothing is known about
 * the content. `passphrase`: it is encrypted, and the passphrase is missing or another one.
 */
export type KeyFault = 'missing' | 'unreadable' | 'passphrase' | 'damaged'

/** A file of the keys folder that can't be used. The fault decides what an operator should do about it. */
export class KeyFileError extends OperatorError {
  readonly fault: KeyFault

  constructor(fault: KeyFault, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options)
    this.fault = fault
  }
}

export const PASSPHRASE_HINT = 'KEY_PASSPHRASE_FILE must name the file with the passphrase that the keys were made with'

const READABLE =
  'run this as the user of the server, and let that user read the folder ' +
  '(in Kubernetes: fsGroup in the securityContext of the pod)'

/**
 * Reads a file of the folder.
 *
 * @param what for the error message: "the private key"
 * @throws KeyFileError `missing` or `unreadable`
 */
export async function readKeyFile(path: string, what: string): Promise<Buffer> {
  return readFile(path).catch((cause) => {
    const missing = cause.code === 'ENOENT'
    throw new KeyFileError(missing ? 'missing' : 'unreadable', `keys: can't read ${what} ${path}: ${cause.code}`, {
      cause,
      hint: missing ? 'restore it from a backup, or make a new key: npm run keys -- rotate' : READABLE,
    })
  })
}

/**
 * The names of the files in the folder.
 *
 * @returns an empty list when there is no folder
 * @throws KeyFileError `unreadable`: a folder that can't be listed is not an empty one
 */
export async function namesIn({ dir }: Pick<KeysFolder, 'dir'>): Promise<string[]> {
  return readdir(dir).catch((cause) => {
    if (cause.code === 'ENOENT') return []
    throw new KeyFileError('unreadable', `keys: can't list the folder ${dir}: ${cause.code}`, { cause, hint: READABLE })
  })
}

const WRITABLE = 'the folder must be writable for this user, and its disk have room'

/** The error for a folder that can't be changed. */
export function notWritable(folder: KeysFolder, cause: unknown): OperatorError {
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
    await giveToOwner(file, dirname(path))
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
  await deleteFile(temporary)
  await writeDurably(temporary, text, mode)
  await rename(temporary, path).catch((cause) => {
    throw cannotWrite(path, cause)
  })
  await syncFolder(dirname(path))
}

/**
 * Deletes a file of the folder. A file that is missing already is no error.
 *
 * @throws OperatorError when it can't be deleted
 */
export async function deleteFile(path: string): Promise<void> {
  await rm(path, { force: true }).catch((cause) => {
    throw new OperatorError(`keys: can't delete ${path}: ${cause.code}`, {
      cause,
      hint: 'delete it by hand, then look: npm run keys -- check',
    })
  })
}

/**
 * The temporary path of a file that is being replaced. It is the same for every file, so that the next run finds and
 * deletes what a crash left.
 */
export const unfinishedPath = ({ dir }: Pick<KeysFolder, 'dir'>) => join(dir, 'unfinished.tmp')

/**
 * What root makes is given to the owner of the folder that it is in: the user who runs the server must be able to read
 * it. Nothing is done for other users.
 */
export async function giveToOwner(made: FileHandle, dir: string): Promise<void> {
  if (process.geteuid?.() !== 0) return
  const [owner, own] = await Promise.all([stat(dir), made.stat()])
  // Some file systems have one owner for everything, and refuse even a change that changes nothing.
  if (owner.uid !== own.uid || owner.gid !== own.gid) await made.chown(owner.uid, owner.gid)
}

/**
 * What file systems say that have no fsync of folders (SMB, some FUSE and 9p mounts). PostgreSQL ignores the same
 * (`fsync_fname_ext`): the change is made, and only a power cut could take it back.
 */
const NO_FOLDER_SYNC = ['EINVAL', 'EBADF', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP']

/**
 * Makes created, renamed and deleted names in a folder durable (fsync of the folder), where the file system can.
 *
 * @throws OperatorError when the disk fails: the change is made then, and may be lost at a power cut
 */
export async function syncFolder(dir: string): Promise<void> {
  if (process.platform === 'win32') return // Windows has no fsync on folders
  try {
    const handle = await open(dir, 'r')
    await handle.sync().finally(() => handle.close())
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException
    if (NO_FOLDER_SYNC.includes(code)) return
    throw new OperatorError(`keys: ${dir} was changed, but the change may not survive a power cut: ${code}`, {
      cause,
      hint: 'the disk fails: look what is in force (npm run keys -- list), and save the folder elsewhere',
    })
  }
}
