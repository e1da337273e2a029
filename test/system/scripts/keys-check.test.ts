import { join } from 'node:path'
import t from 'tap'
import { inspectKeys } from '../../../scripts/cli/keys-check.ts'
import { makeFirstKey, rotateKeys } from '../../../src/keys/change-keyring.ts'
import { readKeyring, writeKeyring } from '../../../src/keys/manifest.ts'
import { readRefreshKeys } from '../../../src/keys/refresh-keys.ts'
import { temporaryFolder } from '../../support/app.ts'

const START = 1_800_000_000
const DAY = 86_400
const folder = { dir: join(await temporaryFolder(t), 'keys'), passphrase: undefined }
await makeFirstKey(folder, () => START)
await rotateKeys(folder, { now: () => START + DAY, lead: 900, bits: 2048 })
const switched = START + DAY + 900
const [old, current, standby] = await readKeyring(folder)
const [refreshKey] = await readRefreshKeys(folder)

const inspect = async (now: number, kids: readonly string[] = []) => {
  const yardstick = { now, timing: { jwksMaxAge: 300, skew: 5 }, ttl: 600, maxAge: undefined, revoked: { kids } }
  return (await inspectKeys(folder, yardstick)).map(({ severity = 'failure', problem }) => [severity, problem] as const)
}
const leftover = (severity: string) => [
  [severity, `${join(folder.dir, `${old?.kid}.pem`)} no longer signs, but was not deleted`],
]

const TIMES: [name: string, now: number, found: string[][]][] = [
  ['before the switch', switched - 1, []],
  ['while a clock that is behind may sign with the old key', switched + 59, []],
  ['a minute after the switch', switched + 60, leftover('remark')],
  ['for two days, until a daily run must have deleted it', switched + 2 * DAY - 1, leftover('remark')],
  ['after two days', switched + 2 * DAY, leftover('failure')],
]
for (const [name, now, found] of TIMES) {
  t.test(`the old private key after a rotation, ${name}`, async (t) => t.same(await inspect(now), found))
}

t.test('what the store knows as revoked, and the folder does not, is a failure and stands first', async (t) => {
  const kids = [current?.kid, standby?.kid, refreshKey?.id, 'x'.repeat(43)].map(String)
  const outdated = /^(\S+) was revoked, and this folder holds it as if it were good/
  const found = await inspect(switched + 60, kids)
  t.same(
    found.map(([severity, problem]) => [severity, outdated.exec(problem)?.[1]]),
    [...kids.slice(0, 3).map((kid) => ['failure', kid]), ['remark', undefined]],
  )
  t.same(await inspect(switched + 900 + 960, [String(old?.kid)]), leftover('remark'), 'an old key that is over is none')
})

t.test('a private key that was revoked and is still there is a failure at once', async (t) => {
  const before = await readKeyring(folder)
  const now = switched + 60
  await writeKeyring(
    folder,
    before.map((entry) => (entry.kid === old?.kid ? { ...entry, revoked_at: now } : entry)),
  )
  t.same(await inspect(now), leftover('failure'))
  await writeKeyring(folder, before)
})
