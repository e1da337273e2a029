import { chmod, mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { fileStore } from '../../src/verifier/store/file-store.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const isRoot = process.geteuid?.() === 0
const hasModes = process.platform !== 'win32'

/** A store with one text in it, and the path of its file. */
async function withText(t: Parameters<typeof temporaryFolder>[0]) {
  const folder = join(await temporaryFolder(t), 'a', 'b')
  const store = fileStore(folder)
  await store.put('signet-keys-x', 'old')
  const [name = ''] = await readdir(folder)
  return { folder, store, path: join(folder, name) }
}

t.test('texts come out as they went in, also by another store of the same folder', async (t) => {
  const { folder, store } = await withText(t)
  t.equal(await store.get('signet-keys-x'), 'old')
  for (const text of ['', 'new', '\u{1f511} é\n\r\0', 'x'.repeat(1e6)]) {
    await store.put('signet-keys-x', text)
    t.equal(await fileStore(folder).get('signet-keys-x'), text)
  }
  t.equal(await store.get('other'), undefined)
})

t.test('every name is a file of its own in the folder, whatever is in it', async (t) => {
  const { folder, store } = await withText(t)
  const names = [
    '../up',
    '/etc/passwd',
    '..',
    '.',
    '',
    'a/b',
    'a_b',
    'a\\b',
    'A',
    'a',
    'CON',
    'x'.repeat(5000),
    '\0',
    'é',
  ]
  for (const name of names) await store.put(name, `of ${name}`)
  for (const name of names) t.equal(await store.get(name), `of ${name}`, JSON.stringify(name.slice(0, 20)))
  const files = await readdir(folder)
  t.equal(files.length, names.length + 1)
  for (const file of files) t.match(file, /^[A-Za-z0-9_-]{0,60}-[0-9a-f]{16}\.txt$/)
})

t.test('folder and files are for their owner only', { skip: !hasModes && 'no modes' }, async (t) => {
  const { folder, path } = await withText(t)
  t.equal((await stat(folder)).mode & 0o777, 0o700)
  t.equal((await stat(path)).mode & 0o777, 0o600)
})

t.test('a folder that others may write to is refused', { skip: !hasModes && 'no modes' }, async (t) => {
  for (const mode of [0o770, 0o702, 0o777]) {
    const { folder, store } = await withText(t)
    await chmod(folder, mode)
    const refused = /^fileStore: other users may write to ".*b", and could sign tokens: chmod go-w/
    t.throws(() => fileStore(folder), { message: refused }, mode.toString(8))
    await t.rejects(store.get('signet-keys-x'), { message: refused })
    await t.rejects(store.put('signet-keys-x', 'new'), { message: refused })
    await chmod(folder, 0o755)
    t.equal(await store.get('signet-keys-x'), 'old', 'others may read')
  }
})

t.test(
  'a folder or file of another user is refused',
  { skip: !isRoot && 'only root can give files away' },
  async (t) => {
    const { chown } = await import('node:fs/promises')
    const { folder, store, path } = await withText(t)
    await chown(path, 65_534, 65_534)
    await t.rejects(store.get('signet-keys-x'), /belongs to another user \(65534\)/)
    await store.put('signet-keys-x', 'new')
    t.equal(await store.get('signet-keys-x'), 'new', 'and is replaced')
    await chown(folder, 65_534, 65_534)
    t.throws(() => fileStore(folder), /belongs to another user \(65534\)/)
  },
)

t.test('what is in the place of a file and can not be trusted is refused, and replaced by the next text', async (t) => {
  const places: Record<string, (path: string) => Promise<unknown>> = {
    ...(hasModes && { 'a file that the group may write to': (path) => chmod(path, 0o660) }),
    ...(hasModes && {
      'a link': async (path) => {
        await rm(path)
        await writeFile(`${path}.elsewhere`, 'theirs', { mode: 0o600 })
        await symlink(`${path}.elsewhere`, path)
      },
    }),
    'a file that is too large': async (path) => {
      await (await import('node:fs/promises')).truncate(path, 40 * 1024 * 1024)
    },
  }
  for (const [what, put] of Object.entries(places)) {
    const { store, path } = await withText(t)
    await put(path)
    await t.rejects(store.get('signet-keys-x'), Error, what)
    await store.put('signet-keys-x', 'new')
    t.equal(await store.get('signet-keys-x'), 'new', what)
    if (what === 'a link') t.equal(await readFile(`${path}.elsewhere`, 'utf8'), 'theirs', 'it is not followed')
  }
  const { store, path } = await withText(t)
  await rm(path)
  await mkdir(path)
  await t.rejects(store.get('signet-keys-x'), Error, 'a folder')
  await t.rejects(store.put('signet-keys-x', 'new'), Error, 'a folder')
  t.strictSame(
    (await readdir(join(path, '..'))).filter((name) => name.endsWith('.unfinished')),
    [],
    'a text that could not be put leaves nothing',
  )
})

t.test('a folder that somebody deleted is made again', async (t) => {
  const { folder, store } = await withText(t)
  await rm(folder, { recursive: true })
  t.equal(await store.get('signet-keys-x'), undefined)
  await store.put('signet-keys-x', 'new')
  t.equal(await store.get('signet-keys-x'), 'new')
})

t.test('what crashes left is deleted, and what another process writes just now is not', async (t) => {
  const { folder } = await withText(t)
  const anHourAgo = new Date(Date.now() - 3_600_000)
  for (const name of ['old.unfinished', 'young.unfinished', 'old.txt']) await writeFile(join(folder, name), 'x')
  for (const name of ['old.unfinished', 'old.txt']) await utimes(join(folder, name), anHourAgo, anHourAgo)
  await fileStore(folder).put('signet-keys-x', 'new')
  const left = (await readdir(folder)).filter((name) => !name.startsWith('signet')).sort()
  t.strictSame(left, ['old.txt', 'young.unfinished'])
})

t.test('a path that is none is refused at once', async (t) => {
  for (const path of ['', undefined, 7]) t.throws(() => fileStore(path as string), { name: 'TypeError' })
  const file = join(await temporaryFolder(t), 'file')
  await writeFile(file, '')
  t.throws(() => fileStore(file), /EEXIST|ENOTDIR/)
  t.throws(() => fileStore(join(file, 'below')), /ENOTDIR|ENOENT|EEXIST/)
})
