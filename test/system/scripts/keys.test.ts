import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { withKeysLock } from '../../../src/keys/keys-lock.ts'
import { run } from '../../support/service.ts'
import { DATE, KID, keysScript, lines, MADE_STANDBY } from './keys-script.ts'

t.test('a rotation from the first key to the second, as an operator sees it', async (t) => {
  const { keys, listed, dir } = await keysScript(t)
  t.match(await keys('list'), { code: 0, stdout: 'no keys yet: npm run keys -- rotate\n' })
  t.match(await keys('rotate'), {
    code: 0,
    stderr: '',
    stdout: lines(`key ${KID} is the first; it signs from now on`, MADE_STANDBY),
  })
  t.match(await keys('rotate'), {
    code: 0,
    stdout: lines(
      `key ${KID}: in the JWKS since ${DATE}, signs in 1[45] min \\(${DATE}\\)`,
      'every server switches in that second by itself; there is nothing more to do',
      MADE_STANDBY,
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
      `${KID}  standby  in the JWKS, waits for a rotation or an emergency +yes`,
    ),
  )
  t.match(await listed(), [
    { phase: 'current', private: true, verify_until: new RegExp(DATE) },
    { phase: 'next', private: true, verify_until: null },
    { phase: 'standby', private: true, sign_from: null, verify_until: null },
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
    standby: new RegExp(KID),
    sign_from: new RegExp(DATE),
  })
})

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
      { phase: 'standby', private: true },
    ])
    t.match(await keys('check'), { code: 0, stdout: /is in order/ }, 'the old private half may wait for the next run')
  },
)

t.test('two runs at once: one wins, the others say so', async (t) => {
  const { keys, listed, dir, env } = await keysScript(t)
  await keys('rotate')
  await withKeysLock({ dir, passphrase: undefined }, async () => {
    t.match(await keys('rotate'), {
      code: 1,
      stderr: /^keys: error: keys: another process is changing .*\nhint: let it finish.*\n$/,
    })
    t.match(await keys('list'), { code: 0 }, 'looking is always possible')
  })
  const rotate = () => run(t, 'scripts/keys.ts', ['rotate'], env).finished // processes of their own
  const outcomes = await Promise.all(Array.from({ length: 4 }, rotate))
  t.equal(outcomes.filter(({ stdout }) => stdout.startsWith('key')).length, 1)
  for (const { code, stdout, stderr } of outcomes) {
    if (code === 0) t.match(stdout, /^(key|nothing to do)/)
    else t.match(stderr, /another process is changing/)
  }
  t.equal((await listed()).length, 3)
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
    t.match(
      (await keys('list-refresh')).stdout,
      lines(
        'ID +PHASE +WHAT HAPPENS',
        `${first}  current  in use since .*${DATE}\\)?`,
        `[\\w-]{11}  next     in use in 1 min \\(${DATE}\\)`,
      ),
    )
    const rows = JSON.parse((await keys('list-refresh --json')).stdout)
    t.match(rows, [{ id: first, phase: 'current' }, { phase: 'next' }])
    t.same(Object.keys(rows[0]), ['id', 'phase', 'sign_from'], 'and nothing secret')
    t.match(await keys(`revoke-refresh ${first}`), { code: 0, stdout: /within 3 s no server accepts/ })
    t.notOk((await ids()).includes(String(first)))
    t.match(await keys('revoke-refresh nope'), {
      code: 1,
      stderr: /there is no refresh key "nope"\nhint: npm run keys -- list-refresh\n$/,
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
      /^keys: error: --lead 10s is below the safe minimum of 30[678]s \(JWKS_MAX_AGE 300 \+ reload 3 \+ CLOCK_SKEW 5.*\)\nhint: .*\n$/,
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
  for (const command of ['list', 'rotate', 'revoke', 'prune', 'check', 'import', 'list-refresh']) {
    t.match(await keys(`${command} --help`), {
      code: 0,
      stdout: new RegExp(`Examples\n  npm run -s keys -- ${command}`),
    })
  }
})
