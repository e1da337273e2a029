import { execFileSync } from 'node:child_process'
import { cp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock as now } from '../../src/clock.ts'
import { revokeKey, rotateKeys } from '../../src/keys/change-keyring.ts'
import { readKeyring } from '../../src/keys/manifest.ts'
import type { RevokedKey } from '../../src/keys/revoked-key-store.ts'
import { copyOfKeys, firstKeys, keyringOf as server, Table } from '../support/keyring.ts'

// What a running server sees when it reads its keys again.

const OPTIONS = { now, bits: 2048, successor: true, force: false } as const

const made = await firstKeys(t)
const copyOf = (t: Test, folder = made) => copyOfKeys(t, folder)

t.test('a store that hangs keeps no change of the folder away', async (t) => {
  const folder = await copyOf(t)
  const table = new Table()
  const { keyring } = await server(folder, table)
  const { kid } = keyring.signingKey()
  t.intercept(table, 'all', { value: () => new Promise(() => undefined) })
  void keyring.reload() // waits for the store for ever
  await revokeKey(folder, kid, OPTIONS)
  void keyring.reload()
  while (keyring.verificationPem(kid) !== undefined) await new Promise((resolve) => setImmediate(resolve))
  t.not(keyring.signingKey().kid, kid)
})

t.test('who asks for a reload waits for a look at the store that began after the call', async (t) => {
  const folder = await copyOf(t)
  const table = new Table()
  const { keyring } = await server(folder, table)
  const { kid } = keyring.signingKey()
  const answer = Promise.withResolvers<RevokedKey[]>()
  const asked = Promise.withResolvers<void>()
  t.intercept(table, 'all', {
    value() {
      t.intercept(table, 'all', { value: async () => [{ kid, revokedAt: now() }] })
      asked.resolve()
      return answer.promise
    },
  })
  const before = keyring.reload()
  await asked.promise
  await rotateKeys(folder, { now, lead: 900, bits: 2048 })
  const made = String((await readKeyring(folder)).at(-1)?.kid)
  const after = [keyring.reload(), keyring.reload()]
  // When the change of the folder is in force, it is the turn of the store.
  while (keyring.verificationPem(made) === undefined) await new Promise((resolve) => setImmediate(resolve))
  answer.resolve([]) // what the store said before the key was revoked
  await before
  await Promise.all(after)
  t.equal(keyring.verificationPem(kid), undefined)
})

t.test('who asks for a reload waits for a read of the folder that began after the call', async (t) => {
  const folder = await copyOf(t)
  const { keyring } = await server(folder, new Table())
  const { kid } = keyring.signingKey()
  await rotateKeys(folder, { now, lead: 900, bits: 2048 })
  const made = String((await readKeyring(folder)).at(-1)?.kid)
  t.notOk(keyring.verificationPem(made))
  const revoked = await copyOf(t, folder)
  await revokeKey(revoked, kid, OPTIONS)
  // The file of the new key is a pipe, so the read waits for its content, after it has read the manifest.
  const path = join(folder.dir, `${made}.pem`)
  const pem = await readFile(path)
  await rm(path)
  execFileSync('mkfifo', ['-m', '600', path])
  const before = keyring.reload()
  const pipe = await open(path, 'w') // resolves when somebody reads
  for (const name of await readdir(revoked.dir))
    if (name !== `${made}.pem`) await cp(join(revoked.dir, name), join(folder.dir, name))
  const after = keyring.reload()
  await pipe.writeFile(pem)
  await pipe.close()
  await rm(path)
  await writeFile(path, pem, { mode: 0o600 })
  await before
  await after
  t.equal(keyring.verificationPem(kid), undefined)
  t.ok(keyring.verificationPem(made))
})

t.test('the key that begins to sign is reported, with the one before', async (t) => {
  const folder = await copyOf(t)
  const { keyring, reported } = await server(folder, new Table())
  const [current, standby] = (await readKeyring(folder)).map(({ kid }) => kid)
  await keyring.reload()
  t.same(reported('signs'), [])
  await rotateKeys(folder, { now, lead: 0, bits: 2048 })
  await keyring.reload()
  await keyring.reload()
  t.same(reported('signs'), [{ signs: standby, before: current }])
})
