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
import { temporaryFolder } from '../../support/app.ts'
import { runScript } from '../../support/scripts.ts'
import { type Finished, ROOT, run } from '../../support/service.ts'

const PRELOAD = `--import=${pathToFileURL(join(ROOT, 'test/support/kill-at.js'))}`
const DAY = 86_400
const later = (days: number) => () => systemClock() - 10 * DAY + days * DAY

// A folder with work for every step: a current key, a dead one whose private half still lies there, and an orphan.
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
  rotate: { least: 8, args: () => ['rotate'] },
  revoke: { least: 8, args: (kid) => ['revoke', kid] },
  'rotate-refresh': { least: 5, args: () => ['rotate-refresh'] },
  'revoke-refresh': { least: 6, args: (_, refreshKey) => ['revoke-refresh', refreshKey] },
}

/**
 * A command that ends at its n-th change of the file system: by SIGKILL, or in a process that goes on and changes
 * nothing more.
 */
type Kill = (t: Test, args: readonly string[], dir: string, at: number) => Promise<Finished>

const byFreeze: Kill = (_, args, dir, at) => runScript('scripts/keys.ts', args, { KEYS_DIR: dir }, { killAt: at })
const bySigkill: Kill = (t, args, dir, at) =>
  run(t, 'scripts/keys.ts', args, { KEYS_DIR: dir, NODE_OPTIONS: PRELOAD, KILL_AT: String(at) }).finished

const successor = await generatePrivateKey(2048)

/** @returns false when it was done before it could be killed */
async function killedAt(t: Test, command: string, at: number, kill: Kill): Promise<boolean> {
  const folder = await busyFolder(t)
  const before = await readKeyring(folder)
  const kid = before.at(-1)?.kid ?? ''
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

  await rotateKeys(folder, { now: systemClock, lead: 900, bits: 2048, key: successor })
  const keyring = await readKeyring(folder)
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
  t.equal(keyring.filter((entry) => entry.sign_until === null).length, 1)
  return signal === 'SIGKILL'
}

for (const [command, { least }] of Object.entries(COMMANDS)) {
  t.test(`${command}, killed at every step, leaves a folder that loads, and the next run cleans up`, async (t) => {
    let steps = 0
    while (await killedAt(t, command, steps + 1, byFreeze)) steps += 1
    t.ok(steps >= least, `it was killed at ${steps} steps`)
    t.ok(await killedAt(t, command, Math.ceil(steps / 2), bySigkill), 'a real kill, in the middle')
    t.notOk(await killedAt(t, command, steps + 1, bySigkill), 'and both ways count the same steps')
  })
}
