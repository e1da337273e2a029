import { access, constants, lstat, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Config } from '../../src/config/config.ts'
import { OperatorError } from '../../src/errors/app-error.ts'

/**
 * When root runs a script, this process becomes the owner of what the script works on, for good: the user of the
 * server. So what the script writes is that user's, whatever it reads is what the server can read, and a link that
 * somebody put there leads root nowhere (CWE-59). What only root may read must be read before.
 *
 * @param setting that names the path
 * @param path of the keys folder, or the file of the database; while there is none, the owner of the nearest folder
 *   above it counts
 * @throws OperatorError when the system refuses that
 */
export async function actAsOwner(setting: string, path: string): Promise<void> {
  if (process.geteuid?.() !== 0) return
  const { uid, gid } = await ownerOf(resolve(path))
  if (uid === 0) return
  try {
    process.setgroups?.([gid])
    process.setgid?.(gid)
    process.setuid?.(uid)
  } catch (cause) {
    throw new OperatorError(`${setting}: ${path} belongs to user ${uid}, and root can't act as that user here`, {
      cause,
      hint: `run this as that user, for example: setpriv --reuid ${uid} --regid ${gid} --clear-groups npm run …`,
    })
  }
}

/**
 * As `actAsOwner`, for the file of a SQLite database. PostgreSQL is elsewhere.
 *
 * @throws OperatorError also when the owner can't read the code that a database needs
 */
export async function actAsOwnerOfDatabase({ DATABASE_URL: url }: Pick<Config, 'DATABASE_URL'>): Promise<void> {
  if (url.startsWith('sqlite:')) await actAsOwner('DATABASE_URL', url.replace(/^sqlite:(\/\/)?/, ''))
  await assertCodeIsReadable()
}

/** Code that is loaded only when a database is opened or an account made: by then root is somebody else. */
const LATE_CODE = [
  fileURLToPath(new URL('../../src/db/sqlite-worker.ts', import.meta.url)),
  createRequire(import.meta.url).resolve('pg'),
]

/**
 * Asked before a database is opened, because a checkout that only root can read fails there with riddles.
 *
 * @throws OperatorError when this process may no longer read the code
 */
export async function assertCodeIsReadable(): Promise<void> {
  for (const path of LATE_CODE) {
    try {
      await access(path, constants.R_OK)
    } catch (cause) {
      const user = process.geteuid?.()
      throw new OperatorError(`user ${user}, as whom this script works on the data, can't read its code: ${path}`, {
        cause,
        hint: `put src, scripts and node_modules where user ${user} can read them, for example below /opt`,
      })
    }
  }
}

/** The owner of a path or, when a link that is not root's leads there, of that link: who made it decides. */
async function ownerOf(path: string): Promise<{ uid: number; gid: number }> {
  try {
    const link = await lstat(path)
    return link.isSymbolicLink() && link.uid !== 0 ? link : await stat(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return ownerOf(dirname(path))
  }
}
