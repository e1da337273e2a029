import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { chmod, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../../support/app.ts'
import { keyOfParts, keyOfSize } from '../../support/rsa-parts.ts'
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
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = privateKey.export({ format: 'jwk' })
  const unsound: [name: string, key: KeyObject, stderr: RegExp][] = [
    ['huge', keyOfSize(12_304), /^keys: error: the key has 12304 bits, and at most 4096 are possible\nhint: /],
    ['mixed', keyOfParts({ ...jwk, d: jwk.dp ?? '' }), /^keys: error: the key is damaged: its parts do not belong/],
  ]
  for (const [name, key, stderr] of unsound) {
    const path = join(dir, '..', `${name}.pem`)
    await writeFile(path, key.export({ type: 'pkcs1', format: 'pem' }))
    t.match(await keys(`import ${path}`), { code: 1, stderr }, name)
  }
  const good = await file('good.pem', 2048)
  t.match(await keys(`import ${good}`), { code: 0, stdout: /in the JWKS since .*, signs in/ })
  t.match(await listed(), [{ phase: 'current' }, { phase: 'next' }, { phase: 'standby' }])
  t.match(await keys(`import ${good}`), { code: 1, stderr: /waits already/ })
})

t.test('a key with a passphrase of its own is imported, and stored under that of the folder', async (t) => {
  const { keys, dir } = await withPassphrase(t, 'open sesame')
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const [pem, own, wrong] = ['own.pem', 'own.pass', 'wrong.pass'].map((name) => join(dir, '..', name)) as [
    ...[string, string, string],
  ]
  await writeFile(own, Buffer.from('caf\xe9\r\nsecond line', 'latin1')) // OpenSSL takes any bytes
  await writeFile(wrong, 'open sesame')
  const protect = { cipher: 'aes-256-cbc', passphrase: Buffer.from('caf\xe9', 'latin1') }
  for (const type of ['pkcs8', 'pkcs1'] as const) {
    await writeFile(pem, privateKey.export({ type, format: 'pem', ...protect }))
    const hint = /\nhint: --passphrase-file names the file with its passphrase/
    t.match(await keys(`import ${pem}`), { code: 1, stderr: /is encrypted, and this is not the passphrase/ }, type)
    t.match(await keys(`import ${pem} --passphrase-file ${wrong}`), { code: 1, stderr: hint }, type)
  }
  t.match(await keys(`import ${pem} --passphrase-file /nowhere`), { code: 1, stderr: /--passphrase-file: can't read/ })
  t.match(await keys(`import ${pem} --passphrase-file ${own}`), { code: 0, stdout: /in the JWKS since .*, signs in/ })
  t.match(await keys('check'), { code: 0 })

  const plain = await keysScript(t)
  t.match(await plain.keys(`import ${pem}`), { code: 1, stderr: /is encrypted, and can be opened with its passphrase/ })
  t.match(await plain.keys(`import ${pem} --passphrase-file ${own}`), { code: 0, stdout: /is the first/ })
})

async function withPassphrase(t: Test, passphrase: string) {
  const file = join(await temporaryFolder(t), 'passphrase')
  await writeFile(file, `${passphrase}\n`)
  const script = await keysScript(t, { KEY_PASSPHRASE_FILE: file })
  await script.keys('rotate')
  return script
}

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
    stdout: lines(
      'keys: .* is encrypted, and can be opened with its passphrase only \\(and 2 more of the keys\\)',
      '  mend: KEY_PASSPHRASE_FILE must name the file with the passphrase of the server',
      'remark: not compared with .*',
      '  mend: run check where .*',
    ),
  })
})

t.test('check with another passphrase advises neither to revoke nor to delete', async (t) => {
  const { dir: there, env } = await withPassphrase(t, 'open sesame')
  const { env: other } = await withPassphrase(t, 'open barley')
  const { code, stdout } = await runScript('scripts/keys.ts', ['check'], { ...other, KEYS_DIR: there })
  t.equal(code, 1)
  t.match(
    stdout,
    /^keys: .* is encrypted, and this is not the passphrase .* \(and 2 more of the keys\)\n {2}mend: KEY_/,
  )
  t.notMatch(stdout, /revoke|delete/)
  const { stdout: clean } = await runScript('scripts/keys.ts', ['check'], env)
  t.match(clean, /in order/)
})

t.test('without the passphrase nothing is made, and a leaked key can be taken away', async (t) => {
  const { dir, env, listed } = await withPassphrase(t, 'open sesame')
  const { KEY_PASSPHRASE_FILE: _, ...without } = env
  const keys = (...args: string[]) => runScript('scripts/keys.ts', args, without)
  const before = await readdir(dir)
  const [key] = await listed()
  const refreshKey = /refresh-(.{11})\.json/.exec(before.join())?.[1] ?? ''
  const refused = [['rotate'], ['rotate-refresh'], ['revoke-refresh', refreshKey]]
  for (const args of refused) {
    const what = args.join(' ')
    const { code, stderr } = await keys(...args)
    t.equal(code, 1, what)
    t.match(stderr, /is encrypted, .* with its passphrase only\nhint: KEY_PASSPHRASE_FILE must name/, what)
    t.same(await readdir(dir), before, `${what} leaves the folder as it was`)
  }
  const made = /NO STANDBY KEY WAS MADE: .* is encrypted, .*; then run `npm run keys -- rotate`/
  t.match(await keys('revoke', key?.kid ?? ''), { code: 0, stderr: '', stdout: made }, 'the standby key takes over')
  const pems = async () => (await readdir(dir)).filter((name) => name.endsWith('.pem'))
  const [, last] = await listed()
  t.same(await pems(), [`${last?.kid}.pem`])
  t.match(await keys('revoke', last?.kid ?? '', '--unpublished-successor'), { code: 1, stderr: /is encrypted/ })
  t.same(await pems(), [`${last?.kid}.pem`], 'no key is made that is not encrypted')
  await runScript('scripts/keys.ts', ['rotate-refresh'], env)
  t.match(await keys('revoke-refresh', refreshKey), { code: 0, stderr: '' })
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

t.test('check sees modes of folder, manifest, refresh keys, and keys that are not encrypted', async (t) => {
  const { keys, listed, dir, env } = await keysScript(t)
  await keys('rotate')
  const [key] = await listed()
  const refreshKey = (await readdir(dir)).find((name) => name.startsWith('refresh-')) ?? ''
  await chmod(dir, 0o755)
  t.match(await keys('check'), { code: 0 }, 'that others see the names is no fault: so git makes the folder')
  const modes: [path: string, mode: number, problem: RegExp][] = [
    [dir, 0o775, /keys has mode 775: others can put keys there\n {2}mend: chmod go-w /],
    [join(dir, 'keyring.json'), 0o664, /keyring\.json has mode 664: others can change it\n {2}mend: chmod 644/],
    [join(dir, refreshKey), 0o640, /refresh-.*\.json has mode 640: others can read it\n {2}mend: chmod 600/],
    [join(dir, `${key?.kid}.pem`), 0o620, /\.pem has mode 620: others can use it\n {2}mend: chmod 600/],
  ]
  for (const [path, mode, problem] of modes) {
    const before = (await stat(path)).mode
    await chmod(path, mode)
    t.match(await keys('check'), { code: 1, stdout: problem })
    await chmod(path, before)
  }
  const passphrase = join(await temporaryFolder(t), 'passphrase')
  await writeFile(passphrase, 'open sesame')
  const found = await runScript('scripts/keys.ts', ['check', '--json'], { ...env, KEY_PASSPHRASE_FILE: passphrase })
  t.match(JSON.parse(found.stdout), [
    { problem: /\.pem is not encrypted/, mend: /rotate;/ },
    { problem: /\.pem is not encrypted/, mend: /rotate;/ },
    { problem: /refresh-.*\.json is not encrypted, although KEY_PASSPHRASE_FILE is set/, mend: /rotate-refresh/ },
  ])
})

t.test('a folder that can not be listed is no empty one', async (t) => {
  const { keys, dir } = await keysScript(t)
  await writeFile(dir, 'a file')
  for (const command of ['list', 'list-refresh', 'rotate-refresh', 'prune', 'check']) {
    const { code, stdout, stderr } = await keys(command)
    t.equal(code, 1, command)
    t.match(stdout + stderr, /(ENOTDIR|EEXIST)/, command)
    t.notMatch(stdout + stderr, /no keys yet|this is a bug/, command)
  }
})

t.test('a lost manifest costs no key: prune deletes nothing, and what is left is published again', async (t) => {
  const { keys, listed, dir } = await keysScript(t)
  await keys('rotate')
  const pems = async () => (await readdir(dir)).filter((name) => name.endsWith('.pem'))
  const [first, standby] = await listed()
  await rm(join(dir, 'keyring.json'))
  t.match(await keys('prune'), { code: 0, stdout: 'nothing to prune\n' })
  await utimes(join(dir, `${first?.kid}.pem`), 1000, 1000)
  t.match(await keys('rotate'), { code: 0, stdout: new RegExp(`^key ${first?.kid} is the first; it signs[^\n]*\n$`) })
  t.match(await listed(), [
    { kid: first?.kid, phase: 'current' },
    { kid: standby?.kid, phase: 'standby' },
  ])

  await rm(join(dir, 'keyring.json'))
  await rm(join(dir, `${first?.kid}.pem`))
  t.match(await keys('rotate'), { code: 0, stdout: new RegExp(`key ${standby?.kid} is the first`) }, 'a single one too')

  await keys('rotate')
  await rm(join(dir, 'keyring.json'))
  t.match(await keys('rotate'), {
    code: 1,
    stderr: /is missing, and there are 3 private keys\nhint: restore keyring\.json/,
  })
  t.match(await keys('prune'), { code: 0, stdout: 'nothing to prune\n' })
  t.equal((await pems()).length, 3)
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
