// Preloaded into a script: a file system without fsync of folders, such as SMB or some FUSE mounts. A real one can't be
// mounted by every test. FOLDER_SYNC_ERROR is what the kernel says. Plain JavaScript, because it is named in
// NODE_OPTIONS.
import { promises } from 'node:fs'

const handle = await promises.open(import.meta.filename)
const FileHandle = Object.getPrototypeOf(handle)
await handle.close()

const { sync } = FileHandle
FileHandle.sync = async function () {
  if (!(await this.stat()).isDirectory()) return sync.call(this)
  const code = process.env.FOLDER_SYNC_ERROR ?? ''
  throw Object.assign(new Error(`${code}: fsync`), { code, syscall: 'fsync' })
}
