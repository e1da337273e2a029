import { chmod, link, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { OperatorError } from '../../src/errors/app-error.ts'
import { makeFirstKey, rotateKeys } from '../../src/keys/change-keyring.ts'
import { openEncryptedPem } from '../../src/keys/encrypted-pem.ts'
import { type KeyEntry, phase } from '../../src/keys/keyring.ts'
import { type KeysFolder, writeDurably } from '../../src/keys/keys-folder.ts'
import { withKeysLock } from '../../src/keys/keys-lock.ts'
import { openLiveKeyring } from '../../src/keys/live-keyring.ts'
import { manifestPath, readKeyring, writeKeyring } from '../../src/keys/manifest.ts'
import { readPassphrase } from '../../src/keys/passphrase.ts'
import { generatePrivateKey, privateKeyPath, readPrivateKey, storePrivateKey } from '../../src/keys/private-keys.ts'
import { temporaryFolder } from '../support/app.ts'

async function folderWithKey(
  t: Parameters<typeof temporaryFolder>[0],
  passphrase?: string,
): Promise<{ folder: KeysFolder; kid: string }> {
  const folder = { dir: join(await temporaryFolder(t), 'keys'), passphrase }
  const kid = await makeFirstKey(folder, systemClock)
  return { folder, kid: kid ?? '' }
}

t.test('a private key is PKCS#8, readable for its owner only, and named by its kid', async (t) => {
  const { folder, kid } = await folderWithKey(t)
  const path = privateKeyPath(folder, kid)
  t.match(await readFile(path, 'utf8'), /^-----BEGIN PRIVATE KEY-----/)
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.notMatch(await readFile(manifestPath(folder), 'utf8'), /"(d|p|q|dp|dq|qi)"/)
})

t.test('with a passphrase the private key is encrypted, and another passphrase does not open it', async (t) => {
  const { folder, kid } = await folderWithKey(t, 'open sesame')
  const pem = await readFile(privateKeyPath(folder, kid), 'utf8')
  t.match(pem, /^-----BEGIN ENCRYPTED PRIVATE KEY-----/)
  t.ok(await openEncryptedPem(pem, 'open sesame'), 'with the slow derivation')
  t.equal((await readPrivateKey(folder, kid)).asymmetricKeyType, 'rsa')
  await t.rejects(readPrivateKey({ ...folder, passphrase: 'wrong' }, kid), { message: /can be opened/ })
  await t.rejects(readPrivateKey({ ...folder, passphrase: undefined }, kid), { message: /can be opened/ })
})

const phases = async (folder: KeysFolder) => (await readKeyring(folder)).map((entry) => phase(entry, systemClock()))

t.test('the first boot makes a key that signs and one that stands by, and the second boot none', async (t) => {
  const { folder, kid } = await folderWithKey(t)
  t.equal((await readKeyring(folder))[0]?.kid, kid)
  t.equal(await makeFirstKey(folder, systemClock), undefined)
  t.same(await phases(folder), ['current', 'standby'])
})

t.test('several processes that boot at once agree on one first key', async (t) => {
  const folder = { dir: join(await temporaryFolder(t), 'keys'), passphrase: undefined }
  await Promise.allSettled(Array.from({ length: 4 }, () => makeFirstKey(folder, systemClock)))
  t.same(await phases(folder), ['current', 'standby'])
})

t.test('a keyring of an older version, without a standby key, gets one by the next boot or rotation', async (t) => {
  const { folder } = await folderWithKey(t)
  const now = systemClock
  const old = async () => {
    const [first] = await readKeyring(folder)
    await writeKeyring(folder, [{ ...(first as KeyEntry), sign_until: null, verify_until: null }])
  }
  await old()
  await makeFirstKey(folder, now)
  t.same(await phases(folder), ['current', 'standby'])
  await old()
  await rotateKeys(folder, { now, lead: 900, bits: 2048, ifOlderThan: 86_400 })
  t.same(await phases(folder), ['current', 'standby'], 'also by a run that has nothing else to do')
  await old()
  await rotateKeys(folder, { now, lead: 900, bits: 2048 })
  t.same(await phases(folder), ['current', 'next', 'standby'])

  await old()
  await rm(join(folder.dir, '.lock'))
  await mkdir(join(folder.dir, '.lock')) // nobody can lock the folder, as in a read-only mount
  t.equal(await makeFirstKey(folder, now), undefined, 'a folder that can not be changed is no reason not to start')
  t.same(await phases(folder), ['current'])
})

t.test('a keyring that can not sign is refused when it is opened, not at the first login', async (t) => {
  const empty = { dir: await temporaryFolder(t), passphrase: undefined }
  const open = (folder: KeysFolder) =>
    openLiveKeyring({
      folder,
      timing: { jwksMaxAge: 300, skew: 5 },
      ttl: 600,
      now: systemClock,
      report: () => undefined,
    })
  await t.rejects(open(empty), { message: /no key in/, hint: /npm run keys -- rotate/ })

  const { folder, kid } = await folderWithKey(t)
  const other = await storePrivateKey(folder, await generatePrivateKey(2048))
  await writeFile(privateKeyPath(folder, kid), await readFile(privateKeyPath(folder, other.kid)))
  await t.rejects(open(folder), { message: /another key than its name says/ })
  await writeFile(privateKeyPath(folder, kid), 'garbage')
  await t.rejects(open(folder), { message: /not a private key/ })
})

const ENTRY = (text: string) => JSON.parse(text).keys[0]
const again = (entry: object) => {
  const later = '2099-01-01T00:00:00Z'
  return [
    { ...entry, sign_until: later, verify_until: later },
    { ...entry, publish_at: later, sign_from: later },
  ]
}
const BROKEN: [name: string, change: (text: string) => string][] = [
  ['half a file', (text) => text.slice(0, 100)],
  ['an empty file', () => ''],
  ['a list', () => '[]'],
  ['another version', (text) => text.replace('"version": 1', '"version": 2')],
  ['a missing instant', (text) => text.replace(/"created_at": "[^"]+",/, '')],
  ['an instant that is no date', (text) => text.replace(/"sign_from": "[^"]+"/, '"sign_from": "soon"')],
  ['a private member in a JWK', (text) => text.replace('"kty"', '"d": "AAAA", "kty"')],
  ['a kid that is not the thumbprint', (text) => text.replaceAll(ENTRY(text).kid, 'A'.repeat(43))],
  ['an exponent of one', (text) => text.replace('"AQAB"', '"AQ"')],
  ['the same key twice', (text) => JSON.stringify({ version: 1, keys: [ENTRY(text), ENTRY(text)] })],
  ['the same key again, in a plan that is sound', (text) => JSON.stringify({ version: 1, keys: again(ENTRY(text)) })],
  ['a day that no month has', (text) => text.replace(/"created_at": "[^"]+"/, '"created_at": "2026-02-30T00:00:00Z"')],
]
for (const [name, change] of BROKEN) {
  t.test(`a manifest with ${name} is refused with its path`, async (t) => {
    const { folder } = await folderWithKey(t)
    const path = manifestPath(folder)
    await writeFile(path, change(await readFile(path, 'utf8')))
    const error = await readKeyring(folder).catch((error) => error)
    t.ok(error instanceof OperatorError)
    t.match(error.message, 'keyring.json')
  })
}

t.test('one process at a time changes the folder', async (t) => {
  const { folder } = await folderWithKey(t)
  await withKeysLock(folder, async () => {
    await t.rejects(
      withKeysLock(folder, async () => 'both'),
      { message: /another process is changing/ },
    )
  })
  t.equal(await withKeysLock(folder, async () => 'again'), 'again')
})

t.test('who may wait for the folder gets it when the other is done', async (t) => {
  const { folder } = await folderWithKey(t)
  const order: string[] = []
  let second: Promise<unknown> | undefined
  await withKeysLock(folder, async () => {
    second = withKeysLock(folder, async () => order.push('second'), 10)
    await sleep(100)
    order.push('first')
  })
  await second
  t.same(order, ['first', 'second'])
})

t.test('the lock is closed to others also when its file was open to them', async (t) => {
  const { folder } = await folderWithKey(t)
  const path = join(folder.dir, '.lock')
  await chmod(path, 0o644)
  await withKeysLock(folder, async () => undefined)
  t.equal((await stat(path)).mode & 0o777, 0o600)
})

t.test('a lock that is a link, a folder or a file with a second name is refused, and nothing is made', async (t) => {
  const { folder } = await folderWithKey(t)
  const path = join(folder.dir, '.lock')
  const outside = await temporaryFolder(t)
  const other = join(outside, 'other')
  await writeFile(other, '', { mode: 0o644 })
  const others: Record<string, () => Promise<unknown>> = {
    'a link': () => symlink(other, path),
    'a link to nothing': () => symlink(join(outside, 'new'), path),
    'a folder': () => mkdir(path),
    'a second name': () => link(other, path),
  }
  for (const [name, make] of Object.entries(others)) {
    await rm(path, { recursive: true })
    await make()
    const refused = withKeysLock(folder, async () => t.fail('it ran'))
    await t.rejects(refused, { message: /\.lock is not a plain file of this folder/, hint: /rm / }, name)
  }
  t.same(await readdir(outside), ['other'])
  t.equal((await stat(other)).mode & 0o777, 0o644)
})

t.test('a file that is there is not written over, and one that can not be written is not left half', async (t) => {
  const dir = await temporaryFolder(t)
  const path = join(dir, 'a.pem')
  await writeDurably(path, 'first', 0o600)
  await t.rejects(writeDurably(path, 'second', 0o600), { message: /EEXIST/, hint: /never overwritten/ })
  t.equal(await readFile(path, 'utf8'), 'first')
  await t.rejects(writeDurably(join(dir, 'b.pem'), 1 as never, 0o600), OperatorError)
  t.same(await readdir(dir), ['a.pem'])
})

t.test('a passphrase file that is missing or empty is refused', async (t) => {
  const dir = await temporaryFolder(t)
  const file = join(dir, 'passphrase')
  await t.rejects(readPassphrase(file), { message: /KEY_PASSPHRASE_FILE: can't read/ })
  await writeFile(file, '\n')
  await t.rejects(readPassphrase(file), { message: /is empty/ })
  await writeFile(file, 'secret\r\nrest')
  t.equal(await readPassphrase(file), 'secret')
})
