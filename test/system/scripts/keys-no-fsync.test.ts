import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { readKeyring } from '../../../src/keys/manifest.ts'
import { ROOT, run } from '../../support/service.ts'
import { KID, keysScript } from './keys-script.ts'

// File systems without fsync of folders: the call is replaced in the process of the script.

const PRELOAD = `--import=${pathToFileURL(join(ROOT, 'test/support/no-folder-sync.js'))}`

async function folderWhereSyncSays(t: Test, code: string) {
  const { dir } = await keysScript(t)
  const env = { KEYS_DIR: dir, NODE_OPTIONS: PRELOAD, FOLDER_SYNC_ERROR: code }
  const keys = (args: string) => run(t, 'scripts/keys.ts', args.split(' '), env).finished
  const keyring = () => readKeyring({ dir, passphrase: undefined })
  return { dir, keys, keyring }
}

t.test('a leaked key is revoked also where a folder has no fsync', async (t) => {
  for (const code of ['EINVAL', 'ENOTSUP']) {
    const { dir, keys, keyring } = await folderWhereSyncSays(t, code)
    t.match(await keys('rotate'), { code: 0, stderr: '' }, code)
    const [leaked] = await keyring()
    const stdout = new RegExp(`^revoked ${leaked?.kid}: .*\\n${KID} signs now\\n`)
    t.match(await keys(`revoke ${leaked?.kid}`), { code: 0, stderr: '', stdout }, code)
    t.match(await keyring(), [{ kid: leaked?.kid, revoked_at: Number }, { revoked_at: null }])
    const refreshKey = /refresh-(.{11})\.json/.exec((await readdir(dir)).join())?.[1]
    t.match(await keys('rotate-refresh'), { code: 0, stderr: '' }, code)
    t.match(await keys(`revoke-refresh ${refreshKey}`), { code: 0, stderr: '' }, code)
    t.match(await keys('check'), { code: 0, stdout: `${dir} is in order\n` }, 'and no key without an entry is left')
  }
})

t.test('a disk that fails is no stack trace, and says that the change is made', async (t) => {
  const { dir, keys } = await folderWhereSyncSays(t, 'EIO')
  const stderr = /^keys: error: keys: .* was changed, but the change may not survive a power cut: EIO\nhint: the disk/
  t.match(await keys('rotate'), { code: 1, stdout: '', stderr })
  t.ok((await readdir(dir)).length > 0)
})
