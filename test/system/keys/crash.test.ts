import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { systemClock } from '../../../src/clock.ts'
import { makeFirstKey, rotateKeys } from '../../../src/keys/change-keyring.ts'
import type { KeysFolder } from '../../../src/keys/keys-folder.ts'
import { openLiveKeyring } from '../../../src/keys/live-keyring.ts'
import { readKeyring } from '../../../src/keys/manifest.ts'
import { generatePrivateKey, storedKids } from '../../../src/keys/private-keys.ts'
import { readRefreshKeys } from '../../../src/keys/refresh-keys.ts'
import { revokedRefreshIds } from '../../../src/keys/revoked-refresh-keys.ts'
import { heirOf, signingKey, standbyKey } from '../../../src/keys/rotation.ts'
import { temporaryFolder } from '../../support/app.ts'
import { runScript } from '../../support/scripts.ts'
import { type Finished, ROOT, run } from '../../support/service.ts'

const PRELOAD = `--import=${pathToFileURL(join(ROOT, 'test/support/kill-at.js'))}`
const DAY = 86_400
const later = (days: number) => () => systemClock() - 10 * DAY + days * DAY

// A folder with work for every step: a current key, a standby key, and a dead one whose private half still lies there.
// Made once: each run gets a copy.
const busy = { dir: join(await temporaryFolder(t), 'keys'), passphrase: undefined }
await makeFirstKey(busy, later(0))
await rotateKeys(busy, { now: later(1), lead: 900, bits: 2048 })

async function busyFolder(t: Test): Promise<KeysFolder> {
  const folder = { ...busy, dir: join(await temporaryFolder(t), 'keys') }
  await cp(busy.dir, folder.dir, { recursive: true })
  return folder
}

const COMMANDS: Record<string, { least: number; args(kid: string, refreshKey: string): string[] }> = {
  rotate: { least: 12, args: () => ['rotate'] },
  revoke: { least: 12, args: (kid) => ['revoke', kid] },
  'rotate-refresh': { least: 5, args: () => ['rotate-refresh'] },
  'revoke-refresh': { least: 9, args: (_, refreshKey) => ['revoke-refresh', refreshKey] },
}

/**
 * A command that ends at its n-th change of the file system: by SIGKILL, or in a process that goes on and changes
 * nothing more.
 */
type Kill = (t: Test, args: readonly string[], dir: string, at: number) => Promise<Finished>

const KEYS = 'scripts/keys.ts'
const FIRST_BOOT = 'test/system/keys/first-boot.ts'
const byFreeze =
  (program: string): Kill =>
  (_, args, dir, at) =>
    runScript(program, args, { KEYS_DIR: dir }, { killAt: at })
const bySigkill =
  (program: string): Kill =>
  (t, args, dir, at) =>
    run(t, program, args, { KEYS_DIR: dir, NODE_OPTIONS: PRELOAD, KILL_AT: String(at) }).finished

const successor = await generatePrivateKey(2048)

/** @returns false when it was done before it could be killed */
async function killedAt(t: Test, command: string, at: number, kill: Kill): Promise<boolean> {
  const folder = await busyFolder(t)
  const before = await readKeyring(folder)
  const kid = signingKey(before, systemClock())?.kid ?? ''
  const refreshKey = (await readRefreshKeys(folder))[0]?.id ?? ''
  const { code, signal, stderr } = await kill(t, COMMANDS[command]?.args(kid, refreshKey) ?? [], folder.dir, at)
  t.ok(signal === 'SIGKILL' || code === 0, `step ${at} ${stderr}`)

  const live = await openLiveKeyring({
    folder,
    timing: { jwksMaxAge: 300, skew: 5 },
    ttl: 600,
    now: systemClock,
    report: () => undefined,
  })
  t.ok(live.signingKey().kid, `step ${at}: a server would boot and sign`)

  const instant = systemClock()
  const signed = live.signingKey().kid
  t.ok(heirOf(await readKeyring(folder), instant) || signed !== kid, `step ${at}: a published key waits, or took over`)

  await rotateKeys(folder, { now: systemClock, lead: 900, bits: 2048, key: successor })
  const keyring = await readKeyring(folder)
  t.ok(standbyKey(keyring, instant), `step ${at}: a standby key is there again`)
  for (const entry of keyring.filter(({ sign_until }) => sign_until === null || sign_until > instant))
    t.ok((await storedKids(folder)).includes(entry.kid), `step ${at}: ${entry.kid} has its private half`)
  const known = keyring.map((entry) => entry.kid)
  t.same(
    (await storedKids(folder)).filter((stored) => !known.includes(stored)),
    [],
    `step ${at}: no orphan is left`,
  )
  t.same(
    (await readdir(folder.dir)).filter((name) => name.endsWith('.tmp')),
    [],
  )
  const marked = await revokedRefreshIds(folder)
  t.same(
    (await readdir(folder.dir)).filter((name) => marked.some((id) => name === `refresh-${id}.json`)),
    [],
    `step ${at}: no revoked refresh key is left`,
  )
  t.equal(keyring.filter((entry) => entry.sign_until === null).length, 1)
  return signal === 'SIGKILL'
}

t.test('the first boot, killed at every step, leaves a folder with which the next boot serves', async (t) => {
  /** @returns false when it was done before it could be killed */
  async function bootKilledAt(at: number, kill: Kill): Promise<boolean> {
    const dir = join(await temporaryFolder(t), 'keys')
    const { code, signal, stderr } = await kill(t, [], dir, at)
    t.ok(signal === 'SIGKILL' || code === 0, `step ${at} ${stderr}`)
    const folder = { dir, passphrase: undefined }
    await makeFirstKey(folder, systemClock)
    const keyring = await readKeyring(folder)
    t.ok(signingKey(keyring, systemClock()) && standbyKey(keyring, systemClock()), `step ${at}`)
    t.equal((await readRefreshKeys(folder)).length, 1)
    return signal === 'SIGKILL'
  }

  let steps = 0
  while (await bootKilledAt(steps + 1, byFreeze(FIRST_BOOT))) steps += 1
  t.ok(steps >= 15, `it was killed at ${steps} steps`)
  t.ok(await bootKilledAt(Math.ceil(steps / 2), bySigkill(FIRST_BOOT)), 'a real kill, in the middle')
  t.notOk(await bootKilledAt(steps + 1, bySigkill(FIRST_BOOT)), 'and both ways count the same steps')
})

for (const [command, { least }] of Object.entries(COMMANDS)) {
  t.test(`${command}, killed at every step, leaves a folder that loads, and the next run cleans up`, async (t) => {
    let steps = 0
    while (await killedAt(t, command, steps + 1, byFreeze(KEYS))) steps += 1
    t.ok(steps >= least, `it was killed at ${steps} steps`)
    t.ok(await killedAt(t, command, Math.ceil(steps / 2), bySigkill(KEYS)), 'a real kill, in the middle')
    if (command !== 'rotate') return // one command shows it for all
    t.notOk(await killedAt(t, command, steps + 1, bySigkill(KEYS)), 'and both ways count the same steps')
  })
}
