import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { toTimestamp } from '../../../src/clock.ts'
import { DATE, keysScript, lines, MADE_STANDBY } from './keys-script.ts'

/** Turns the keyring of a folder back, as if so many seconds had passed. */
async function age(dir: string, seconds: number): Promise<void> {
  const path = join(dir, 'keyring.json')
  const earlier = (timestamp: string) => toTimestamp(Date.parse(timestamp) / 1000 - seconds)
  const text = await readFile(path, 'utf8')
  await writeFile(path, text.replace(/20\d\d-[\d-]+T[\d:]+Z/g, earlier))
}

t.test(
  'an emergency: the current key goes, the waiting one signs, and the operator is told who still believes the old one',
  async (t) => {
    const { keys, listed, dir } = await keysScript(t)
    await keys('rotate')
    const [first, standby] = await listed()
    const revoked = await keys(`revoke ${first?.kid}`)
    t.match(revoked, {
      code: 0,
      stdout: lines(
        `revoked ${first?.kid}: within 3 s no server signs or verifies with it, and it is out of the JWKS`,
        `${standby?.kid} signs now`,
        `it was published too short a time ago: until in [45] min \\(${DATE}\\), services with an older JWKS in a cache`,
        'refuse new tokens, and can not verify the revocation feed, so that they go on accepting the revoked key',
        `integrators who have the old JWKS cached accept its tokens until ${DATE} at the latest.*`,
        'cache longer.*',
        MADE_STANDBY,
        `deleted the private half of ${first?.kid}: it no longer signs`,
      ),
    })
    t.match(await listed(), [
      { phase: 'revoked', private: false },
      { phase: 'current', private: true },
      { phase: 'standby', private: true },
    ])
    t.notOk((await readdir(dir)).includes(`${first?.kid}.pem`))
    t.match(await keys(`revoke ${first?.kid}`), { code: 1, stderr: /is revoked already/ })
  },
)

t.test('a standby key that was published long ago takes over without a word about caches', async (t) => {
  const { keys, listed, dir } = await keysScript(t)
  await keys('rotate')
  await age(dir, 400)
  const [first, standby] = await listed()
  const { code, stdout } = await keys(`revoke ${first?.kid}`)
  t.equal(code, 0)
  t.match(stdout, `${standby?.kid} signs now\nintegrators who`)
  t.notMatch(await keys(`revoke ${(await listed())[2]?.kid}`), { stdout: /too short/ }, 'nobody takes over here')
})

t.test('without a published key, revoking the current one asks to say so', async (t) => {
  const { keys, listed } = await keysScript(t)
  await keys('rotate')
  const phases = async () => (await listed()).map(({ phase }) => phase)
  const kid = async (phase: string) => (await listed()).find((key) => key.phase === phase)?.kid
  t.match(await keys(`revoke ${await kid('standby')} --no-successor`), { code: 0, stdout: /signs now/ })
  t.match(await keys('check'), { code: 1, stdout: /no published key stands by.*\n {2}mend: npm run keys -- rotate/ })

  const current = await kid('current')
  t.match(await keys(`revoke ${current}`), {
    code: 1,
    stderr: /^keys: error: no published key waits: .*\nhint: .*--unpublished-successor\n$/,
  })
  t.match(await keys(`revoke ${current} --no-successor`), {
    code: 1,
    stderr: /^keys: error: no key would sign any more.*\nhint: .*--force\n$/,
  })
  t.equal(await kid('current'), current, 'nothing was revoked yet')
  t.match(await keys(`revoke ${current} --unpublished-successor`), { code: 0, stdout: /too short a time ago/ })
  t.same((await phases()).sort(), ['current', 'revoked', 'revoked', 'standby'])
  t.match(await keys('check'), { code: 0 })

  t.match(await keys(`revoke ${await kid('standby')} --no-successor`), { code: 0 })
  t.match(await keys(`revoke ${await kid('current')} --no-successor --force`), { code: 0, stdout: /NO KEY SIGNS/ })
  t.match(await keys('check'), {
    code: 1,
    stdout: /no key signs: every login fails\n {2}mend: npm run keys -- rotate/,
  })
  t.match(await keys('rotate'), { code: 0, stdout: /signs from now on/ })
  t.match(await keys('check'), { code: 0 })
})

t.test('a lead is as short as the time for which the standby key has been published allows', async (t) => {
  const { keys, dir } = await keysScript(t)
  await keys('rotate')
  t.match(await keys('rotate --lead 10s'), { code: 1, stderr: /--lead 10s is below the safe minimum of 30[678]s/ })
  await age(dir, 200)
  t.match(await keys('rotate --lead 10s'), {
    code: 1,
    stderr: /minimum of 10[678]s \(.*, less what the standby key has been published for\)/,
  })
  await age(dir, 200)
  t.match(await keys('rotate --lead 2s'), { code: 1, stderr: /minimum of 8s/ })
  t.match(await keys('rotate --lead 10s'), { code: 0, stdout: /signs in \d+ sec/ })
  t.match(await keys('check'), { code: 0 })
})
