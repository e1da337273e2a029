import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { OperatorError } from '../../src/errors/app-error.ts'
import { makeFirstKey } from '../../src/keys/change-keyring.ts'
import { MAX_PASSPHRASE_BYTES, readPassphrase, readPassphraseLine } from '../../src/keys/passphrase.ts'
import { readPrivateKey } from '../../src/keys/private-keys.ts'
import { readRefreshKeys } from '../../src/keys/refresh-keys.ts'
import { temporaryFolder } from '../support/app.ts'

const dir = await temporaryFolder(t)
const file = async (content: string | Buffer) => {
  const path = join(dir, createHash('sha256').update(content).digest('hex'))
  await writeFile(path, content)
  return path
}

t.test('the passphrase is the first line, byte for byte', async (t) => {
  const CASES: [content: string, passphrase: string][] = [
    ['secret', 'secret'],
    ['secret\n', 'secret'],
    ['secret\r\nrest', 'secret'],
    ['secret\n\n', 'secret'],
    [' spaces count \n', ' spaces count '],
    ['a\rb\n', 'a\rb'],
    ['pässwörd €\n', 'pässwörd €'],
    ['\ufeffwith a mark\n', '\ufeffwith a mark'],
    ['é'.repeat(MAX_PASSPHRASE_BYTES / 2), 'é'.repeat(MAX_PASSPHRASE_BYTES / 2)],
    [`${'x'.repeat(MAX_PASSPHRASE_BYTES)}\n${'y'.repeat(5000)}`, 'x'.repeat(MAX_PASSPHRASE_BYTES)],
  ]
  for (const [content, passphrase] of CASES)
    t.equal(await readPassphrase(await file(content)), passphrase, JSON.stringify(content.slice(0, 20)))
})

t.test('a passphrase with which no key could be opened again is refused by name, and not shown', async (t) => {
  const long = 'k'.repeat(MAX_PASSPHRASE_BYTES + 1)
  const CASES: [name: string, content: string | Buffer, message: RegExp][] = [
    ['empty', '', /is empty/],
    ['an empty line', '\r\nsecret', /is empty/],
    ['too long', long, /has 1025 bytes, and at most 1024 are possible/],
    ['too long in bytes only', 'é'.repeat(MAX_PASSPHRASE_BYTES / 2 + 1), /has 1026 bytes/],
    ['Latin-1', Buffer.from('p\xe4ssword', 'latin1'), /is not UTF-8/],
    ['UTF-16', Buffer.from('\ufeffsecret', 'utf16le'), /is not UTF-8/],
    ['random bytes', Buffer.from('c328a0a1f0288cbc', 'hex'), /is not UTF-8/],
  ]
  for (const [name, content, message] of CASES) {
    const error = await readPassphrase(await file(content)).catch((error) => error)
    t.ok(error instanceof OperatorError, name)
    t.match(error.message, /^KEY_PASSPHRASE_FILE: the first line of \//, name)
    t.match(error.message, message, name)
    t.notMatch(`${error.message} ${error.hint}`, /kkk|ssword/, `${name} is not shown`)
  }
  const path = await file(long)
  await t.rejects(readPassphraseLine('--passphrase-file', path), { message: /^--passphrase-file: .* 1025 bytes/ })
})

t.test('the longest passphrase opens what it encrypted', async (t) => {
  const passphrase = await readPassphrase(await file('x'.repeat(MAX_PASSPHRASE_BYTES)))
  const folder = { dir: join(await temporaryFolder(t), 'keys'), passphrase }
  const kid = await makeFirstKey(folder, systemClock)
  t.equal((await readPrivateKey(folder, kid ?? '')).asymmetricKeyType, 'rsa')
  t.equal((await readRefreshKeys(folder)).length, 1)
})
