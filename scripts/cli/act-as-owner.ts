import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
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

/** As `actAsOwner`, for the file of a SQLite database. PostgreSQL is elsewhere. */
export async function actAsOwnerOfDatabase({ DATABASE_URL: url }: Pick<Config, 'DATABASE_URL'>): Promise<void> {
  if (url.startsWith('sqlite:')) await actAsOwner('DATABASE_URL', url.replace(/^sqlite:(\/\/)?/, ''))
}

async function ownerOf(path: string): Promise<{ uid: number; gid: number }> {
  try {
    return await stat(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return ownerOf(dirname(path))
  }
}
