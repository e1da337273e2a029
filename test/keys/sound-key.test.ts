import { generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { OperatorError } from '../../src/errors/app-error.ts'
import { rotateKeys } from '../../src/keys/change-keyring.ts'
import { readManifest, writeKeyring } from '../../src/keys/manifest.ts'
import { privateKeyPath, readPrivateKey, storePrivateKey } from '../../src/keys/private-keys.ts'
import { assertSoundKey, MAX_KEY_BITS, provenPublicJwk } from '../../src/keys/sound-key.ts'
import { temporaryFolder } from '../support/app.ts'
import { keyOfParts, keyOfSize } from '../support/rsa-parts.ts'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const jwk = privateKey.export({ format: 'jwk' })
const toBytes = (value: string | undefined) => Buffer.from(value ?? '', 'base64url')

/** A part with one bit of its last byte turned over. */
const turned = (name: keyof JsonWebKey, bit: number) => {
  const bytes = toBytes(jwk[name] as string)
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ bit
  return { ...jwk, [name]: bytes.toString('base64url') }
}

t.test('a key whose parts do not belong together is not taken in', async (t) => {
  t.equal(assertSoundKey(keyOfParts(jwk)), undefined, 'the key as it is')
  for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const)
    for (const bit of [1, 2]) {
      const error = (() => {
        try {
          return assertSoundKey(keyOfParts(turned(name, bit)))
        } catch (error) {
          return error
        }
      })()
      t.ok(error instanceof OperatorError, `${name} ${bit}: ${error}`)
      t.match((error as Error).message, /^the key is damaged: /, name)
    }
  for (const bit of [1, 2])
    t.throws(() => assertSoundKey(keyOfParts(turned('n', bit))), { message: /damaged/ }, `n ${bit}`)
})

t.test('a key that signs what nobody can verify is never stored, and never read', async (t) => {
  const folder = { dir: await temporaryFolder(t), passphrase: undefined }
  const { kid: good } = await storePrivateKey(folder, privateKey)
  const even = keyOfParts(turned('n', 1))
  t.throws(() => provenPublicJwk(even), { message: /what it signs does not verify/ })
  for (const key of [even, keyOfParts(turned('n', 2))]) {
    await t.rejects(storePrivateKey(folder, key), { message: /damaged: what it signs does not verify/ })
    t.equal((await readdir(folder.dir)).length, 1, 'no file is left')
  }
  const broken = keyOfParts({ ...turned('d', 2), dp: turned('dp', 2).dp ?? '' })
  await writeFile(privateKeyPath(folder, good), broken.export({ type: 'pkcs8', format: 'pem' }))
  await t.rejects(readPrivateKey(folder, good), {
    fault: 'damaged',
    message: /\.pem: the key is damaged: what it signs does not verify/,
  })
})

t.test('the size of an imported key is bounded by what fits into a token', async (t) => {
  t.equal(MAX_KEY_BITS, 4096)
  for (const bits of [4112, 12_304, 16_384])
    t.throws(() => assertSoundKey(keyOfSize(bits)), {
      message: new RegExp(`the key has ${bits} bits, and at most 4096 are possible`),
    })
})

t.test('a manifest that could not be read again is not put in place', async (t) => {
  const folder = { dir: await temporaryFolder(t), passphrase: undefined }
  await rotateKeys(folder, { now: systemClock, lead: 900, bits: 2048, key: privateKey })
  const before = await readManifest(folder)
  const [entry] = before
  if (entry === undefined) throw new Error('no entry')
  const unreadable = [
    [{ ...entry, jwk: { ...entry.jwk, n: 'A'.repeat(2051) } }],
    [{ ...entry, sign_from: 999_999_999_999 }],
    [{ ...entry, publish_at: entry.sign_from + 1 }],
    [entry, entry],
  ]
  for (const keyring of unreadable) {
    const error = await writeKeyring(folder, keyring).catch((error) => error)
    t.ok(error instanceof Error, String(error))
    t.same(await readManifest(folder), before)
  }
  t.same(
    (await readdir(folder.dir)).filter((name) => name.endsWith('.tmp')),
    [],
    'and nothing is left',
  )
})
