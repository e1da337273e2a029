import { generateKeyPairSync } from 'node:crypto'
import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { withKeysLock } from '../../src/keys/keys-folder.ts'
import { temporaryFolder } from '../support/app.ts'
import { isolated, run } from '../support/process.ts'

type T = Parameters<typeof temporaryFolder>[0]

const KID = '[\\w-]{43}'
const DATE = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ'
const lines = (...patterns: string[]) => new RegExp(`^${patterns.join('\n')}\n$`)

async function keysScript(t: T, settings: Record<string, string> = {}) {
  const env = { ...(await isolated(t)), ...settings }
  const dir = String(env.KEYS_DIR)
  const keys = (args: string) => run(t, 'scripts/keys.ts', args === '' ? [] : args.split(' '), env).finished
  const listed = async () =>
    JSON.parse((await keys('list --json')).stdout) as { kid: string; phase: string; private: boolean }[]
  return { keys, listed, dir, env }
}

t.test('a rotation from the first key to the second, as an operator sees it', async (t) => {
  const { keys, listed, dir } = await keysScript(t)
  t.match(await keys('list'), { code: 0, stdout: 'no keys yet: npm run keys -- rotate\n' })
  t.match(await keys('rotate'), {
    code: 0,
    stderr: '',
    stdout: lines(`made key ${KID}, the first; it signs from now on`),
  })
  t.match(await keys('rotate'), {
    code: 0,
    stdout: lines(
      `made key ${KID}: published now, signs in 1[45] min \\(${DATE}\\)`,
      'every server switches in that second by itself; there is nothing more to do',
    ),
  })
  t.match(await keys('rotate'), {
    code: 0,
    stdout: lines(`nothing to do: key ${KID} is published and signs in 1[45] min \\(${DATE}\\)`),
  })
  t.match(
    (await keys('list')).stdout,
    lines(
      'KID +PHASE +WHAT HAPPENS +PRIVATE HALF',
      `${KID}  current  began to sign .*${DATE}\\)? +yes`,
      `${KID}  next     signs in 1[45] min \\(${DATE}\\) +yes`,
    ),
  )
  t.match(await listed(), [
    { phase: 'current', private: true },
    { phase: 'next', private: true },
  ])
  t.same(Object.keys((await listed())[0] ?? {}), [
    'kid',
    'phase',
    'created_at',
    'publish_at',
    'sign_from',
    'verify_until',
    'revoked_at',
    'private',
  ])
  t.match(await keys('check'), { code: 0, stdout: /is in order/ })
  t.match(await keys('prune'), { code: 0, stdout: 'nothing to prune\n' })
  for (const name of (await readdir(dir)).filter((name) => name.endsWith('.pem')))
    t.equal((await stat(join(dir, name))).mode & 0o777, 0o600)
})

t.test('for cron: a young key is left alone, and that is no failure', async (t) => {
  const { keys } = await keysScript(t)
  await keys('rotate')
  t.match(await keys('rotate --if-older-than 30d'), {
    code: 0,
    stdout: lines(`nothing to do: the current key ${KID} began to sign .*`),
  })
  t.match(JSON.parse((await keys('rotate --if-older-than 30d --json')).stdout), { made: null, because: 'young' })
  t.match(JSON.parse((await keys('rotate --if-older-than 0s --json')).stdout), {
    made: new RegExp(KID),
    sign_from: new RegExp(DATE),
  })
})

t.test(
  'an emergency: the current key goes, the waiting one signs, and the operator is told who still believes the old one',
  async (t) => {
    const { keys, listed, dir } = await keysScript(t)
    await keys('rotate')
    const [first] = await listed()
    t.match(await keys(`revoke ${first?.kid} --no-successor`), {
      code: 1,
      stderr: /^keys: error: no key would sign any more.*\nhint: .*--force\n$/,
    })
    const revoked = await keys(`revoke ${first?.kid}`)
    t.match(revoked, {
      code: 0,
      stdout: lines(
        `revoked ${first?.kid}: within 3 s no server signs or verifies with it, and it is out of the JWKS`,
        `${KID} signs now`,
        `integrators who have the old JWKS cached accept its tokens until ${DATE} at the latest.*`,
        'cache longer.*',
        `deleted the private half of ${first?.kid}: it signs no more`,
      ),
    })
    t.match(await listed(), [
      { phase: 'revoked', private: false },
      { phase: 'current', private: true },
    ])
    t.notOk((await readdir(dir)).includes(`${first?.kid}.pem`))
    t.match(await keys(`revoke ${first?.kid}`), { code: 1, stderr: /is revoked already/ })

    const [, second] = await listed()
    t.match(await keys(`revoke ${second?.kid} --no-successor --force`), { code: 0, stdout: /NO KEY SIGNS/ })
    t.match(await keys('check'), {
      code: 1,
      stdout: /no key signs: every login fails\n {2}mend: npm run keys -- rotate/,
    })
    t.match(await keys('rotate'), { code: 0, stdout: /it signs from now on/ })
    t.match(await keys('check'), { code: 0 })
  },
)

t.test(
  '--now signs at once and says what that risks; the old private half goes when no clock can use it',
  async (t) => {
    const { keys, listed } = await keysScript(t)
    await keys('rotate')
    t.match(await keys('rotate --now'), {
      code: 0,
      stdout: /signs from now on\nrisk: servers .* integrators with a cached JWKS\nfor up to 300 s/,
    })
    t.match(await listed(), [
      { phase: 'previous', private: true },
      { phase: 'current', private: true },
    ])
  },
)

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
  t.match(await run(t, 'scripts/keys.ts', ['check'], without).finished, {
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
    stdout: lines(`deleted the private half of ${'A'.repeat(43)}: it signs no more`),
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

t.test('two runs at once: one wins, the other says so', async (t) => {
  const { keys, listed, dir } = await keysScript(t)
  await keys('rotate')
  await withKeysLock({ dir, passphrase: undefined }, async () => {
    t.match(await keys('rotate'), {
      code: 1,
      stderr: /^keys: error: keys: another process is changing .*\nhint: let it finish.*\n$/,
    })
    t.match(await keys('list'), { code: 0 }, 'looking is always possible')
  })
  const outcomes = await Promise.all(Array.from({ length: 6 }, () => keys('rotate')))
  t.equal(outcomes.filter(({ stdout }) => stdout.startsWith('made key')).length, 1)
  for (const { code, stdout, stderr } of outcomes) {
    if (code === 0) t.match(stdout, /^(made key|nothing to do)/)
    else t.match(stderr, /another process is changing/)
  }
  t.equal((await listed()).length, 2)
})

t.test(
  'the key of refresh tokens is made with the first key, and rotated and taken away by its own commands',
  async (t) => {
    const { keys, dir } = await keysScript(t)
    const ids = async () => (await readdir(dir)).flatMap((name) => /^refresh-([\w-]{11})\.json$/.exec(name)?.[1] ?? [])
    await keys('rotate')
    const [first] = await ids()
    t.equal((await stat(join(dir, `refresh-${first}.json`))).mode & 0o777, 0o600)
    t.match(await keys('rotate-refresh'), {
      code: 0,
      stdout: /^made refresh key [\w-]{11}: in use in 1 min .*when every server has read it\n$/,
    })
    t.match(await keys('rotate-refresh'), { code: 0, stdout: /^nothing to do/ })
    t.equal((await ids()).length, 2)
    t.match(await keys(`revoke-refresh ${first}`), { code: 0, stdout: /within 3 s no server accepts/ })
    t.notOk((await ids()).includes(String(first)))
    t.match(await keys('revoke-refresh nope'), {
      code: 1,
      stderr: /there is no refresh key "nope"\nhint: there is: [\w-]{11}\n$/,
    })
    await writeFile(join(dir, `refresh-${(await ids())[0]}.json`), '{')
    t.match(await keys('check'), { code: 1, stdout: /is not a refresh key that can be opened\n {2}mend: / })
  },
)

t.test('refusals and misuse', async (t) => {
  const { keys } = await keysScript(t)
  await keys('rotate')
  const CASES: [args: string, code: number, stderr: RegExp][] = [
    [
      'rotate --lead 10s',
      1,
      /^keys: error: --lead 10s is below the safe minimum of 308s \(JWKS_MAX_AGE 300 \+ reload 3 \+ CLOCK_SKEW 5\)\nhint: .*\n$/,
    ],
    ['rotate --lead soon', 2, /--lead takes a duration such as 6s, 15m, 12h or 30d/],
    ['rotate --lead 1h --now', 2, /either --lead or --now/],
    ['rotate --bits 1024', 2, /--bits takes 2048, 3072 or 4096/],
    ['rotate please', 2, /usage: keys rotate/],
    ['revoke', 2, /usage: keys revoke <kid>/],
    [`revoke -${'x'.repeat(42)}`, 1, /^keys: error: there is no key -x+\n/],
    ['revoke-refresh --xxxxxxxxx', 1, /there is no refresh key "--x+"/],
    ['revoke nope', 1, /^keys: error: there is no key nope\nhint: npm run keys -- list\n$/],
    ['import', 2, /usage: keys import <pem>/],
    ['shred', 2, /there is no command "shred"/],
  ]
  for (const [args, code, stderr] of CASES) t.match(await keys(args), { code, stderr, stdout: '' }, args)
  for (const command of ['list', 'rotate', 'revoke', 'prune', 'check', 'import']) {
    t.match(await keys(`${command} --help`), {
      code: 0,
      stdout: new RegExp(`Examples\n  npm run -s keys -- ${command}`),
    })
  }
})
