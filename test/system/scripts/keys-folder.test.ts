import { generateKeyPairSync } from 'node:crypto'
import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../../support/app.ts'
import { runScript } from '../../support/scripts.ts'
import { keysScript, lines } from './keys-script.ts'

t.test('an existing key is imported as the next one, and only a sound one', async (t) => {
  const { keys, listed, dir } = await keysScript(t)
  await keys('rotate')
  const file = async (name: string, modulusLength: number, publicExponent = 65537) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent })
    await writeFile(join(dir, '..', name), privateKey.export({ type: 'pkcs1', format: 'pem' }))
    return join(dir, '..', name)
  }
  t.match(await keys(`import ${await file('weak.pem', 1024)}`), { code: 1, stderr: /1024 bits/ })
  t.match(await keys(`import ${await file('odd.pem', 2048, 3)}`), { code: 1, stderr: /exponent/ })
  t.match(await keys('import /nonexistent.pem'), { code: 1, stderr: /can't read \/nonexistent\.pem: ENOENT/ })
  const good = await file('good.pem', 2048)
  t.match(await keys(`import ${good}`), { code: 0, stdout: /published now, signs in/ })
  t.equal((await listed()).length, 2)
  t.match(await keys(`import ${good}`), { code: 1, stderr: /waits already/ })
})

t.test('with a passphrase every private key is encrypted', async (t) => {
  const secret = join(await temporaryFolder(t), 'passphrase')
  await writeFile(secret, 'open sesame\n')
  const { keys, listed, dir, env } = await keysScript(t, { KEY_PASSPHRASE_FILE: secret })
  await keys('rotate --bits 3072')
  const [key] = await listed()
  t.match(await readFile(join(dir, `${key?.kid}.pem`), 'utf8'), /^-----BEGIN ENCRYPTED PRIVATE KEY-----/)
  t.match(await keys('check'), { code: 0 })
  const { KEY_PASSPHRASE_FILE: _, ...without } = env
  t.match(await runScript('scripts/keys.ts', ['check'], without), {
    code: 1,
    stdout: /can be opened\n {2}mend: /,
  })
})

t.test('check finds what is wrong and says how to mend it', async (t) => {
  const { keys, listed, dir } = await keysScript(t)
  await keys('rotate')
  const [key] = await listed()
  const pem = join(dir, `${key?.kid}.pem`)
  const orphan = join(dir, `${'A'.repeat(43)}.pem`)
  await writeFile(orphan, 'left by a killed run', { mode: 0o600 })
  await chmod(pem, 0o644)
  const found = await keys('check')
  t.equal(found.code, 1)
  t.match(found.stdout, /has mode 644: others can read it\n {2}mend: chmod 600/)
  t.match(found.stdout, /belongs to no key of the keyring\n {2}mend: npm run keys -- prune/)
  t.match(await keys('prune'), {
    code: 0,
    stdout: lines(`deleted the private half of ${'A'.repeat(43)}: it no longer signs`),
  })
  await rm(pem)
  t.match((await keys('check')).stdout, /can't read the private key .*ENOENT\n {2}mend: restore/)
  t.match(JSON.parse((await keys('check --json --max-age 0s')).stdout), [
    { problem: /signs for longer/, mend: /rotate/ },
    { problem: /ENOENT/, mend: /restore/ },
  ])
  await writeFile(join(dir, 'keyring.json'), '{')
  t.match(await keys('check'), { code: 1, stdout: /not valid JSON\n {2}mend: restore keyring\.json/ })
  t.match(await keys('rotate'), { code: 1, stderr: /^keys: error: keys: .*not valid JSON\nhint: / })
})

t.test('a lost manifest costs no key: prune deletes nothing, and the only key that is left signs again', async (t) => {
  const { keys, listed, dir } = await keysScript(t)
  await keys('rotate')
  const [only] = await listed()
  await rm(join(dir, 'keyring.json'))
  t.match(await keys('prune'), { code: 0, stdout: 'nothing to prune\n' })
  t.match(await keys('rotate'), { code: 0, stdout: new RegExp(`made key ${only?.kid}, the first`) })

  await keys('rotate')
  await rm(join(dir, 'keyring.json'))
  t.match(await keys('rotate'), {
    code: 1,
    stderr: /is missing, and there are 2 private keys\nhint: restore keyring\.json/,
  })
  t.match(await keys('prune'), { code: 0, stdout: 'nothing to prune\n' })
  t.equal((await readdir(dir)).filter((name) => name.endsWith('.pem')).length, 2)
})

t.test('a revoked key can not come back by import', async (t) => {
  const { keys, listed, dir } = await keysScript(t)
  await keys('rotate')
  const [leaked] = await listed()
  const copy = join(dir, '..', 'leaked.pem')
  await writeFile(copy, await readFile(join(dir, `${leaked?.kid}.pem`)))
  await keys(`revoke ${leaked?.kid}`)
  await keys('prune')
  t.match(await keys(`import ${copy}`), { code: 1, stderr: /is in this keyring already/ })
})
