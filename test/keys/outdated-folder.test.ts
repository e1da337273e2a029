import { cp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { revokeKey, rotateKeys } from '../../src/keys/change-keyring.ts'
import type { KeysFolder } from '../../src/keys/keys-folder.ts'
import { readKeyring, writeKeyring } from '../../src/keys/manifest.ts'
import { readRefreshKeys, revokeRefreshKey } from '../../src/keys/refresh-keys.ts'
import { planRotation } from '../../src/keys/rotation.ts'
import { copyOfKeys, firstKeys, keyringOf as server, Table } from '../support/keyring.ts'

const now = systemClock
const OPTIONS = { now, bits: 2048, successor: true, force: false } as const

// Made once: each test gets copies.
const made = await firstKeys(t)
const copyOf = (t: Test, folder = made) => copyOfKeys(t, folder)

async function replaceBy(folder: KeysFolder, older: KeysFolder): Promise<void> {
  for (const name of await readdir(folder.dir)) await rm(join(folder.dir, name))
  await cp(older.dir, folder.dir, { recursive: true })
}

/** Only the key that signs, as a folder of an older version has it. */
async function withoutStandby(folder: KeysFolder): Promise<void> {
  const [first] = await readKeyring(folder)
  if (first) await writeKeyring(folder, planRotation([], first.jwk, first.sign_from, 0))
}

t.test('a revoked key of an older folder is not used by a server that knew it, nor by one that starts', async (t) => {
  const folder = await copyOf(t)
  const older = await copyOf(t)
  const table = new Table()
  const { keyring, published, reported } = await server(folder, table)
  const [current, standby] = (await readKeyring(folder)).map(({ kid }) => kid)
  await revokeKey(folder, String(current), OPTIONS)
  await keyring.reload()
  t.same([...table.rows.keys()], [current], 'the store knows it')
  t.equal(keyring.state(), 'ok')

  await replaceBy(folder, older)
  const starting = await server(folder, table)
  for (const [name, it] of Object.entries({ running: { keyring, published, reported }, starting })) {
    for (let times = 0; times < 3; times += 1) await it.keyring.reload()
    t.equal(it.keyring.state(), 'outdated', name)
    t.equal(it.keyring.verificationPem(String(current)), undefined, name)
    t.same(it.published(), [standby], name)
    t.equal(it.keyring.signingKey().kid, standby, name)
    t.same(it.keyring.revokedKids(), [current], name)
    t.same(it.reported('outdated'), [{ outdated: [current] }], `${name}: once`)
  }
  t.same(starting.reported('unusable'), [])

  await revokeKey(folder, String(current), OPTIONS)
  await keyring.reload()
  t.equal(keyring.state(), 'ok', 'revoking it again mends the folder')
  await replaceBy(folder, older)
  await keyring.reload()
  t.equal(reported('outdated').length, 2, 'and the next older folder is reported again')
})

t.test('an older folder with nothing else to sign with changes nothing for a running server', async (t) => {
  const folder = await copyOf(t)
  await withoutStandby(folder)
  const older = await copyOf(t, folder)
  const table = new Table()
  const { keyring, published, reported } = await server(folder, table)
  const { kid } = keyring.signingKey()
  await revokeKey(folder, kid, { ...OPTIONS, unpublishedSuccessor: true })
  await keyring.reload()
  const successor = keyring.signingKey().kid
  t.not(successor, kid)
  const before = published()

  await replaceBy(folder, older)
  await keyring.reload()
  t.equal(keyring.state(), 'outdated')
  t.equal(keyring.signingKey().kid, successor, 'the keyring from before stays in force')
  t.same(published(), before)
  t.match(reported('unusable'), [{ unusable: { message: /every key that could sign .* was revoked/ } }])
  t.same(reported('outdated'), [{ outdated: [kid] }])
  await t.rejects(server(folder, table), { message: /was revoked: the folder is older/, hint: /keys -- rotate/ })

  await rotateKeys(folder, { now, lead: 900, bits: 2048 })
  t.ok((await server(folder, table)).keyring.signingKey(), 'what the hint says helps')
})

t.test('the only key is refused when the store says that it was revoked, and nothing signs', async (t) => {
  const folder = await copyOf(t)
  await withoutStandby(folder)
  const table = new Table()
  const { keyring, published } = await server(folder, table)
  const { kid } = keyring.signingKey()
  table.rows.set(kid, { kid, revokedAt: now() })
  await keyring.reload()
  t.throws(() => keyring.signingKey(), { code: 'signing_unavailable' })
  t.equal(keyring.state(), 'failed')
  t.same(published(), [])
})

t.test('a revoked refresh key of an older folder is not used', async (t) => {
  const folder = await copyOf(t)
  const older = await copyOf(t)
  const table = new Table()
  const { keyring, reported } = await server(folder, table)
  const [revoked] = keyring.refreshKeys()
  await revokeRefreshKey(folder, String(revoked?.id), now)
  await keyring.reload()
  const after = keyring.refreshKeys().map(({ id }) => id)
  t.notOk(after.includes(String(revoked?.id)))
  t.ok(table.rows.has(String(revoked?.id)))

  await replaceBy(folder, older)
  await keyring.reload()
  t.equal(keyring.state(), 'outdated')
  t.same(reported('outdated'), [{ outdated: [revoked?.id] }])
  t.same(
    keyring.refreshKeys().map(({ id }) => id),
    after,
    'nobody is logged out: those in memory go on',
  )
  t.same(keyring.revokedKids(), [], 'the feed names signing keys only')
  await t.rejects(server(folder, table), { message: /every refresh key .* was revoked/, hint: /rotate-refresh/ })
})

t.test('a refresh key that was deleted as too old, or went missing, is not called revoked', async (t) => {
  const folder = await copyOf(t)
  const table = new Table()
  const { keyring } = await server(folder, table)
  const [key] = keyring.refreshKeys()
  await rm(join(folder.dir, `refresh-${key?.id}.json`))
  await keyring.reload()
  await cp(join(made.dir, `refresh-${key?.id}.json`), join(folder.dir, `refresh-${key?.id}.json`))
  await keyring.reload()
  t.same(keyring.refreshKeys(), [key])
  t.equal(table.rows.size, 0)
})

t.test('a mark wins over its key, and the next run deletes the key', async (t) => {
  const folder = await copyOf(t)
  const [key] = await readRefreshKeys(folder)
  await revokeRefreshKey(folder, String(key?.id), now)
  await cp(join(made.dir, `refresh-${key?.id}.json`), join(folder.dir, `refresh-${key?.id}.json`))
  t.notOk((await readRefreshKeys(folder)).some(({ id }) => id === key?.id))
  t.equal(await revokeRefreshKey(folder, String(key?.id), now), false)
  await rotateKeys(folder, { now, lead: 900, bits: 2048 })
  t.notOk((await readdir(folder.dir)).includes(`refresh-${key?.id}.json`))
})

t.test('while the store is away a revoked key stays revoked, and the store learns of it later', async (t) => {
  const folder = await copyOf(t)
  const older = await copyOf(t)
  const table = new Table()
  const { keyring, reported } = await server(folder, table)
  const { kid } = keyring.signingKey()
  table.away = true
  await revokeKey(folder, kid, OPTIONS)
  await keyring.reload()
  await replaceBy(folder, older)
  await keyring.reload()
  t.equal(keyring.verificationPem(kid), undefined)
  t.equal(keyring.state(), 'outdated')
  t.equal(reported('storeLost').length, 1, 'it is said once')
  await t.rejects(server(folder, table), { message: /can't read which keys were revoked: away/ })
  table.away = false
  await keyring.reload()
  t.same([...table.rows.keys()], [kid])
})
