import { randomBytes } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CompactEncrypt } from 'jose'
import t from 'tap'
import { OperatorError } from '../../src/errors/app-error.ts'
import { makeFirstKey } from '../../src/keys/change-keyring.ts'
import type { KeysFolder } from '../../src/keys/keys-folder.ts'
import {
  pruneRefreshKeys,
  REFRESH_KEY_LEAD_SECONDS,
  readRefreshKeys,
  refreshKeyAt,
  refreshKeyPath,
  revokeRefreshKey,
  rotateRefreshKey,
  unrevokedRefreshKeys,
} from '../../src/keys/refresh-keys.ts'
import { temporaryFolder } from '../support/app.ts'
import { refresh, refreshed, refreshVerdict, serverAt, signUp, verdict } from '../support/front-door.ts'

// The key behind refresh tokens lives in keys/.

type T = Parameters<typeof temporaryFolder>[0]
const NOW = 1_800_000_000
const at = (instant: number) => () => instant

async function newFolder(t: T, passphrase?: string): Promise<KeysFolder> {
  return { dir: await temporaryFolder(t), passphrase }
}

/** A folder with the key of a first rotation, in use since NOW. */
async function withKey(t: T, passphrase?: string) {
  const folder = await newFolder(t, passphrase)
  const key = await rotateRefreshKey(folder, at(NOW))
  if (key === undefined) throw new Error('no key was made')
  return { folder, key }
}

const names = async ({ dir }: KeysFolder) => (await readdir(dir)).filter((name) => name.startsWith('refresh-'))
const ids = async (folder: KeysFolder) => (await readRefreshKeys(folder)).map(({ id }) => id).sort()
const inUse = async (folder: KeysFolder, instant: number) => refreshKeyAt(await readRefreshKeys(folder), instant)?.id

t.test('the first boot makes one key, in use at once and readable for its owner only', async (t) => {
  const folder = { dir: join(await temporaryFolder(t), 'keys'), passphrase: undefined }
  await makeFirstKey(folder, at(NOW))
  await makeFirstKey(folder, at(NOW + 1))
  const [key, ...others] = await readRefreshKeys(folder)
  t.same(others, [])
  t.equal(key?.signFrom, NOW)
  t.equal(key?.secret.length, 32)
  const path = refreshKeyPath(folder, key?.id ?? '')
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.same(Object.keys(JSON.parse(await readFile(path, 'utf8'))), ['id', 'sign_from', 'secret'])
})

t.test('with a passphrase the secret lies encrypted, and no other passphrase opens it', async (t) => {
  const { folder, key } = await withKey(t, 'open sesame')
  const path = refreshKeyPath(folder, key.id)
  t.equal((await stat(path)).mode & 0o777, 0o600)
  const text = await readFile(path, 'utf8')
  const { secret } = JSON.parse(text)
  t.match(secret, /^[\w-]+(\.[\w-]+){4}$/, 'a JWE')
  t.match(JSON.parse(Buffer.from(secret.split('.')[0], 'base64url').toString()), {
    alg: 'PBES2-HS256+A128KW',
    enc: 'A256GCM',
    p2c: 600_000,
  })
  t.notOk(text.includes(key.secret.toString('base64url')))
  t.same(await readRefreshKeys(folder), [key])
  for (const passphrase of ['open sesame!', '', undefined]) {
    const found = await readRefreshKeys({ ...folder, passphrase }).catch((error) => error)
    t.ok(found instanceof OperatorError, `opened with ${passphrase}`)
    t.match(found.message, /can be opened/)
  }
})

t.test('the next key waits for its lead, and no further one is made while it waits', async (t) => {
  const { folder, key } = await withKey(t)
  t.equal(refreshKeyAt([key], NOW - 1)?.id, key.id, 'a clock that is behind has a key too')
  const later = NOW + 1000
  const next = await rotateRefreshKey(folder, at(later))
  t.equal(next?.signFrom, later + REFRESH_KEY_LEAD_SECONDS)
  t.equal(await inUse(folder, later + REFRESH_KEY_LEAD_SECONDS - 1), key.id)
  t.equal(await inUse(folder, later + REFRESH_KEY_LEAD_SECONDS), next?.id)
  t.equal(await rotateRefreshKey(folder, at(later + REFRESH_KEY_LEAD_SECONDS - 1)), undefined)
  t.equal((await ids(folder)).length, 2)
  t.ok(await rotateRefreshKey(folder, at(later + REFRESH_KEY_LEAD_SECONDS)))
  t.equal((await ids(folder)).length, 3, 'the old ones are still accepted')
})

t.test('of two keys that begin in the same second every node uses the same one', async (t) => {
  const keys = ['b', 'a', 'c'].map((letter) => ({ id: letter.repeat(11), signFrom: NOW, secret: randomBytes(32) }))
  t.equal(new Set([keys, keys.toReversed()].map((keys) => refreshKeyAt(keys, NOW)?.id)).size, 1)
})

t.test('rotations at once make one key', async (t) => {
  const { folder } = await withKey(t)
  const runs = await Promise.allSettled(Array.from({ length: 5 }, () => rotateRefreshKey(folder, at(NOW + 1))))
  for (const run of runs) if (run.status === 'rejected') t.ok(run.reason instanceof OperatorError)
  t.equal((await ids(folder)).length, 2)
})

t.test('a revoked key is gone, and when it was the only one another takes its place at once', async (t) => {
  const { folder, key } = await withKey(t)
  t.equal(await revokeRefreshKey(folder, 'A'.repeat(11), at(NOW)), false)
  t.same(await ids(folder), [key.id])

  t.equal(await revokeRefreshKey(folder, key.id, at(NOW + 5)), true)
  const [heir = '', ...others] = await ids(folder)
  t.not(heir, key.id)
  t.same(others, [])
  t.equal(await inUse(folder, NOW + 5), heir)

  const waiting = await rotateRefreshKey(folder, at(NOW + 10))
  t.equal(await revokeRefreshKey(folder, heir, at(NOW + 11)), true)
  t.same(await ids(folder), [waiting?.id])
  t.equal(await inUse(folder, NOW + 11), waiting?.id, 'the waiting one begins early')
})

t.test('a key is pruned when no session can be as old as its last token', async (t) => {
  const { folder, key } = await withKey(t)
  const maxAge = 1000
  const next = await rotateRefreshKey(folder, at(NOW + 100))
  const starts = next?.signFrom ?? 0
  t.same(await pruneRefreshKeys(folder, at(starts + maxAge), maxAge), [], 'its last tokens are just alive')
  t.same(await pruneRefreshKeys(folder, at(starts + maxAge + 1), maxAge), [key.id])
  t.same(await ids(folder), [next?.id])
  t.same(await pruneRefreshKeys(folder, at(starts + 1_000_000), maxAge), [], 'the one in use stays, however old')
})

const jwe = (bytes: Buffer, alg: string, p2c?: number) => {
  const encrypt = new CompactEncrypt(bytes).setProtectedHeader({ alg, enc: 'A256GCM' })
  if (p2c !== undefined) encrypt.setKeyManagementParameters({ p2c })
  return encrypt.encrypt(new TextEncoder().encode(alg === 'dir' ? '0'.repeat(32) : 'open sesame'))
}

/** Broken contents of a refresh-key file: whole texts, or members with wrong values. */
const BROKEN: Record<string, string | Record<string, unknown>> = {
  empty: '',
  'not JSON': 'garbage',
  'cut off': '{"id":"AAAAAAAAAAA","sign_from":1800000000,"secret":"c2VjcmV0',
  'a secret without quotes': '{"secret":c2VjcmV0}',
  null: 'null',
  'a list': '[]',
  'of another name': { id: 'B'.repeat(11) },
  'without an instant': { sign_from: undefined },
  'with a negative instant': { sign_from: -1 },
  'with an instant in words': { sign_from: '2027-01-15T08:00:00Z' },
  'with a short secret': { secret: 'A'.repeat(42) },
  'with a secret of 31 bytes': { secret: `${'A'.repeat(42)}=` },
  'with a secret of 33 bytes': { secret: 'A'.repeat(44) },
  'with another member': { kid: 'x' },
  'with a JWE of nothing': { secret: `a.b.c.d.${'e'.repeat(40)}` },
  'with a short secret in a JWE': { secret: await jwe(Buffer.alloc(16), 'PBES2-HS256+A128KW', 1000) },
  'with a JWE that costs hours to open': { secret: await jwe(Buffer.alloc(32), 'PBES2-HS256+A128KW', 600_001) },
  'with a JWE of another algorithm': { secret: await jwe(Buffer.alloc(32), 'dir') },
}

t.test('a file that is broken is an error for the operator, which names it and shows nothing of it', async (t) => {
  const good = { id: 'A'.repeat(11), sign_from: NOW, secret: 'A'.repeat(43) }
  for (const [name, content] of Object.entries(BROKEN)) {
    const folder = await newFolder(t, 'open sesame')
    const text = typeof content === 'string' ? content : JSON.stringify({ ...good, ...content })
    await writeFile(refreshKeyPath(folder, good.id), text)
    const error = await readRefreshKeys(folder).catch((error) => error)
    t.ok(error instanceof OperatorError, `${name}: ${error}`)
    t.ok(String(error.message).includes(refreshKeyPath(folder, good.id)), `${name}: names the file`)
    t.notMatch(`${error.message} ${error.hint} ${error.cause}`, /c2Vj/, `${name}: shows nothing of it`)
  }
})

t.test('a folder that can not be listed takes no key away from a running server, and is no empty one', async (t) => {
  const { folder, key } = await withKey(t)
  const file = { ...folder, dir: refreshKeyPath(folder, key.id) }
  t.same(await unrevokedRefreshKeys(file, [key]), [key])
  await t.rejects(readRefreshKeys(file), { fault: 'unreadable', message: /can't list the folder .*ENOTDIR/ })
  await t.rejects(makeFirstKey(file, at(NOW)), OperatorError)
})

t.test('other files in the folder are left alone', async (t) => {
  const { folder, key } = await withKey(t)
  for (const name of ['refresh-notes.json', `refresh-${'A'.repeat(11)}.json.bak`, `refresh-${'A'.repeat(12)}.json`])
    await writeFile(join(folder.dir, name), 'whatever')
  t.same(await ids(folder), [key.id])
  t.equal((await names(folder)).length, 4)
})

t.test('a running server goes over to the next key, and a revoked one logs out who holds its tokens', async (t) => {
  const { app, keyring, folder, now, pass } = await serverAt(t, NOW)
  const [ada, bob] = [await signUp(app), await signUp(app)]
  const [first] = keyring.refreshKeys()
  const keyOf = (token: string) => Buffer.from(token.slice(4), 'base64url').toString('base64url', 0, 8)

  const next = await rotateRefreshKey(folder, now)
  await keyring.reload()
  const before = await refreshed(app, ada)
  t.equal(keyOf(before.refresh_token), first?.id)
  pass(REFRESH_KEY_LEAD_SECONDS)
  const after = await refreshed(app, before)
  t.equal(keyOf(after.refresh_token), next?.id)
  t.equal((await refreshed(app, before)).refresh_token, after.refresh_token, 'a repeat gives the same text')

  await revokeRefreshKey(folder, first?.id ?? '', now)
  await keyring.reload()
  t.equal(await refreshVerdict(app, bob), 'invalid_refresh_token')
  t.equal(await verdict(app, bob), 'good', 'his access token goes on until it expires')
  t.equal((await refresh(app, after)).statusCode, 200)
})
