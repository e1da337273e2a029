import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { systemClock } from '../../../src/clock.ts'
import { makeFirstKey, rotateKeys } from '../../../src/keys/change-keyring.ts'
import type { KeysFolder } from '../../../src/keys/keys-folder.ts'
import { openLiveKeyring } from '../../../src/keys/live-keyring.ts'
import { readKeyring } from '../../../src/keys/manifest.ts'
import { storedKids } from '../../../src/keys/private-keys.ts'
import { readRefreshKeys } from '../../../src/keys/refresh-keys.ts'
import { temporaryFolder } from '../../support/app.ts'
import { ROOT, run } from '../../support/process.ts'

const PRELOAD = `--import=${pathToFileURL(join(ROOT, 'test/support/kill-at.js'))}`
const DAY = 86_400
const later = (days: number) => () => systemClock() - 10 * DAY + days * DAY

// A folder with work for every step: a current key, a dead one whose private half still lies there, and an orphan. Made once: each
// run gets a copy.
const busy = { dir: join(await temporaryFolder(t), 'keys'), passphrase: undefined }
await makeFirstKey(busy, later(0))
await rotateKeys(busy, { now: later(1), lead: 900, bits: 2048 })

async function busyFolder(t: Parameters<typeof temporaryFolder>[0]): Promise<KeysFolder> {
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

for (const [command, { least, args }] of Object.entries(COMMANDS)) {
  t.test(`${command}, killed at every step, leaves a folder that loads, and the next run cleans up`, async (t) => {
    let steps = 0
    for (let at = 1; ; at += 1) {
      const folder = await busyFolder(t)
      const before = await readKeyring(folder)
      const kid = before.at(-1)?.kid ?? ''
      const refreshKey = (await readRefreshKeys(folder))[0]?.id ?? ''
      const { code, signal, stderr } = await run(t, 'scripts/keys.ts', args(kid, refreshKey), {
        KEYS_DIR: folder.dir,
        NODE_OPTIONS: PRELOAD,
        KILL_AT: String(at),
      }).finished
      t.ok(signal === 'SIGKILL' || code === 0, `step ${at} ${stderr}`)

      const live = await openLiveKeyring({
        folder,
        timing: { jwksMaxAge: 300, skew: 5 },
        ttl: 600,
        now: systemClock,
        report: () => undefined,
      })
      t.ok(live.signingKey().kid, `step ${at}: a server would boot and sign`)

      await rotateKeys(folder, { now: systemClock, lead: 900, bits: 2048 })
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
      if (signal !== 'SIGKILL') break
      steps = at
    }
    t.ok(steps >= least, `it was killed at ${steps} steps`)
  })
}
