import { constants } from 'node:fs'
import { access, lstat, readFile, stat } from 'node:fs/promises'
import type { KeysFolder } from '../../src/keys/keys-folder.ts'
import { lockPath } from '../../src/keys/keys-lock.ts'
import { manifestPath } from '../../src/keys/manifest.ts'
import { isEncrypted, privateKeyPath, storedKids } from '../../src/keys/private-keys.ts'
import { refreshKeyFiles } from '../../src/keys/refresh-keys.ts'
import type { Finding } from './keys-check.ts'

// What `check` looks at besides the content of the keys: modes, owners, links, encryption.

/** A folder that this process may not change: another user's, or mounted read-only, as Kubernetes mounts Secrets. */
type Access = 'writable' | 'not ours' | 'read-only'

/** Modes, owners and encryption of every file in the folder. What can't be looked at is left to the other checks. */
export async function fileFindings(folder: KeysFolder): Promise<Finding[]> {
  if (process.platform === 'win32') return encryptionFindings(folder)
  const access = await accessTo(folder)
  const privateFiles = [
    ...(await storedKids(folder)).map((kid) => privateKeyPath(folder, kid)),
    ...(await refreshKeyFiles(folder)).map(({ path }) => path),
  ]
  const findings = await Promise.all([
    folderFindings(folder, access),
    sharedFindings(manifestPath(folder), access),
    lockFindings(folder),
    ...privateFiles.map((path) => privateFindings(path, access)),
    ...[manifestPath(folder), lockPath(folder), ...privateFiles].map((path) => ownerFindings(folder, path)),
    encryptionFindings(folder),
  ])
  return findings.flat()
}

async function accessTo({ dir }: KeysFolder): Promise<Access> {
  try {
    await access(dir, constants.W_OK)
    return 'writable'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS' ? 'read-only' : 'not ours'
  }
}

/** Names are no secret, but whoever may write in the folder can put a key of his own there. */
async function folderFindings({ dir }: KeysFolder, access: Access): Promise<Finding[]> {
  const mode = await modeOf(dir)
  if (mode === undefined || access === 'read-only' || (mode & 0o022) === 0) return []
  return [
    {
      problem: `${dir} has mode ${mode.toString(8)}: others can put keys there`,
      mend: `chmod go-w ${dir}, and look whether every key in it is yours`,
    },
  ]
}

async function sharedFindings(path: string, access: Access): Promise<Finding[]> {
  const mode = await modeOf(path)
  if (mode === undefined || access === 'read-only' || (mode & 0o022) === 0) return []
  return [
    {
      problem: `${path} has mode ${mode.toString(8)}: others can change it`,
      mend: `chmod 644 ${path}, and look whether every key in it is yours: npm run keys -- list`,
    },
  ]
}

async function privateFindings(path: string, access: Access): Promise<Finding[]> {
  const mode = await modeOf(path)
  if (mode === undefined) return []
  // With fsGroup, Kubernetes adds the right to read for the group of the pod: the only way for a user who is not root.
  const forbidden = access === 'writable' ? 0o077 : 0o037
  if ((mode & forbidden) === 0) return []
  const what = (mode & 0o044 & forbidden) === 0 ? 'use' : 'read'
  return [
    {
      problem: `${path} has mode ${mode.toString(8)}: others can ${what} it`,
      mend:
        access === 'writable'
          ? `chmod 600 ${path}, and think about who could have read it`
          : 'where the folder comes from, give the file mode 0400 (0440 when a group must read it: in Kubernetes ' +
            'defaultMode: 0400 for the volume and fsGroup for the pod), and think about who could have read it',
    },
  ]
}

async function lockFindings(folder: KeysFolder): Promise<Finding[]> {
  const path = lockPath(folder)
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined || (found.isFile() && found.nlink === 1)) return []
  return [
    { problem: `${path} is not a plain file of this folder`, mend: `find out who put it there, then: rm ${path}` },
  ]
}

/** Left by a script that root ran, before scripts gave what they make to the owner of the folder. */
async function ownerFindings({ dir }: KeysFolder, path: string): Promise<Finding[]> {
  const [folder, file] = await Promise.all([dir, path].map((path) => lstat(path).catch(() => undefined)))
  if (folder === undefined || file === undefined || !file.isFile()) return []
  if (folder.uid === 0 || file.uid !== 0) return []
  return [
    {
      problem: `${path} belongs to root and the folder to user ${folder.uid}: the server can't use it`,
      mend: `chown ${folder.uid}:${folder.gid} ${path}`,
    },
  ]
}

async function encryptionFindings(folder: KeysFolder): Promise<Finding[]> {
  if (folder.passphrase === undefined) return []
  const findings: Finding[] = []
  for (const kid of await storedKids(folder)) {
    const pem = await readFile(privateKeyPath(folder, kid)).catch(() => undefined)
    if (pem?.includes('PRIVATE KEY-----') && !isEncrypted(pem))
      findings.push(unencrypted(privateKeyPath(folder, kid), 'npm run keys -- rotate; the new key is encrypted'))
  }
  for (const { path, encrypted } of await refreshKeyFiles(folder)) {
    const mend =
      'npm run keys -- rotate-refresh; the new key is encrypted, and `prune` deletes this one when its sessions are over'
    if (!encrypted) findings.push(unencrypted(path, mend))
  }
  return findings
}

function unencrypted(path: string, mend: string): Finding {
  return { problem: `${path} is not encrypted, although KEY_PASSPHRASE_FILE is set`, mend }
}

async function modeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ mode }) => mode & 0o777,
    () => undefined,
  )
}
