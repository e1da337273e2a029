import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import t from 'tap'
import { encryptedPem, openEncryptedPem, PBKDF2_ROUNDS } from '../../src/keys/encrypted-pem.ts'
import { privateKeyPath, readPrivateKey, storePrivateKey } from '../../src/keys/private-keys.ts'
import { temporaryFolder } from '../support/app.ts'

const key = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).privateKey
const der = (pem: string) => Buffer.from(pem.replace(/-----.*?-----|\s/g, ''), 'base64')
const toPem = (bytes: Buffer) =>
  `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END ENCRYPTED PRIVATE KEY-----\n`
const same = (a: KeyObject | undefined, b: KeyObject) => a?.equals(b) === true

t.test('keys of every size are encrypted with the slow derivation, and OpenSSL opens them too', async (t) => {
  const rounds = Buffer.from(`0203${PBKDF2_ROUNDS.toString(16).padStart(6, '0')}`, 'hex')
  const sha256AndAes256 = ['06082a864886f70d0209', '060960864801650304012a'].map((hex) => Buffer.from(hex, 'hex'))
  t.equal(PBKDF2_ROUNDS, 600_000)
  for (const bits of [2048, 3072, 4096]) {
    const secret = key(bits)
    const pem = await encryptedPem(secret, 'pässwörd')
    t.match(pem, /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n([\w+/]{64}\n)+[\w+/]{1,64}={0,2}\n-----END [A-Z ]+-----\n$/)
    for (const part of [rounds, ...sha256AndAes256]) t.ok(der(pem).includes(part), `${bits}: ${part.toString('hex')}`)
    t.ok(same(await openEncryptedPem(pem, 'pässwörd'), secret), `${bits}: opened here`)
    t.ok(same(createPrivateKey({ key: pem, passphrase: 'pässwörd' }), secret), `${bits}: opened by OpenSSL`)
    await t.rejects(openEncryptedPem(pem, 'passwort'))
  }
})

t.test('no two texts of a key are alike', async (t) => {
  const secret = key(2048)
  const [a, b] = await Promise.all([encryptedPem(secret, 'x'), encryptedPem(secret, 'x')])
  t.not(a, b)
})

t.test('only what was written here is opened here; every other form is left to OpenSSL', async (t) => {
  const secret = key(2048)
  const bytes = der(await encryptedPem(secret, 'x'))
  const other: Record<string, string> = {
    nothing: '',
    'an older file': secret.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString(),
    'another cipher': secret
      .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' })
      .toString(),
    'an older form': secret.export({ type: 'pkcs1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString(),
    'no encryption': secret.export({ type: 'pkcs8', format: 'pem' }).toString(),
    'cut off': toPem(bytes.subarray(0, -1)),
    'a byte too much': toPem(Buffer.concat([bytes, Buffer.alloc(1)])),
    'more rounds': toPem(Buffer.from(bytes.toString('hex').replace('02030927c0', '02037fffff'), 'hex')),
  }
  for (const [name, pem] of Object.entries(other)) t.equal(await openEncryptedPem(pem, 'x'), undefined, name)
  const withReturns = toPem(bytes).replaceAll('\n', '\r\n')
  t.ok(same(await openEncryptedPem(withReturns, 'x'), secret), 'line ends do not matter')
})

t.test('files from before the slow derivation stay readable', async (t) => {
  const folder = { dir: await temporaryFolder(t), passphrase: 'open sesame' }
  const secret = key(2048)
  const { kid } = await storePrivateKey(folder, secret)
  const { passphrase } = folder
  for (const cipher of ['aes-256-cbc', 'aes-128-cbc', undefined]) {
    const pem = secret.export({ type: 'pkcs8', format: 'pem', ...(cipher && { cipher, passphrase }) })
    await writeFile(privateKeyPath(folder, kid), pem)
    t.ok(same(await readPrivateKey(folder, kid), secret), String(cipher))
  }
})
