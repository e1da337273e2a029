import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Failure, Faults } from './failure.ts'
import { EMAIL, startLoad, told } from './load.ts'
import { type Node, newService, startNode, terminate } from './node.ts'
import { ask, people } from './people.ts'

const SESSIONS = 6
/** A server must notice a change of the folder within this time. */
const TIMEOUT_MS = 3000

/** The manifest is damaged in several ways and repaired, while tokens are issued and verified. */
export const keyringFailure: Failure = {
  title: 'the keyring is broken and mended, under load',
  async run(run) {
    const faults = new Faults()
    const node = await startNode(await newService(run, { MAX_SESSIONS_PER_ACCOUNT: '1000' }))
    const path = join(node.env.KEYS_DIR ?? '', 'keyring.json')
    const good = await readFile(path, 'utf8')
    const load = startLoad({ origin: () => node.origin, sessions: await people(node.origin, EMAIL, SESSIONS) })
    const times: number[] = []
    for (const [name, breakIt] of damages(path, good)) {
      await breakIt()
      times.push(await until(node, 'stale', name, faults))
      await sleep(100)
      await replace(path, good)
      times.push(await until(node, 'ok', `${name}, mended`, faults))
    }
    await load.stop()
    for (const [name, count] of load.other) faults.add(`${count} × ${name}`)
    const { code } = await terminate(node)
    faults.expect(code === 0, `exit code ${code}`)
    const again = await startNode(node.env)
    await terminate(again)
    const slowest = Math.round(Math.max(...times))
    return {
      figures: `${times.length / 2} damages: ${told(load)}; noticed within ${slowest} ms`,
      faults: faults.list(),
    }
  },
}

function damages(path: string, good: string): [name: string, breakIt: () => Promise<void>][] {
  return [
    ['half a file', () => replace(path, good.slice(0, good.length / 2))],
    ['an empty file', () => replace(path, '')],
    ['no key', () => replace(path, '{"version":1,"keys":[]}')],
    ['no file', () => rm(path)],
    [
      'another version',
      () => replace(path, good.replace('"version": 1', '"version": 9').replace('"version":1', '"version":9')),
    ],
    ['a private key that is not there', () => replace(path, withOtherKid(good))],
    ['a megabyte of nonsense', () => rm(path).then(() => writeFile(path, Buffer.alloc(1_000_000, 'x')))],
  ]
}

/** Gives each key a kid that is not its thumbprint and has no private half. */
function withOtherKid(good: string): string {
  const { keys, ...rest } = JSON.parse(good) as { keys: { kid: string }[] }
  return JSON.stringify({ ...rest, keys: keys.map((key) => ({ ...key, kid: 'A'.repeat(43) })) })
}

async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

async function until({ origin }: Node, state: string, what: string, faults: Faults): Promise<number> {
  const began = performance.now()
  for (;;) {
    const { status, body } = await ask(`${origin}/health/ready`)
    const { keyring } = (body.checks ?? {}) as { keyring?: string }
    if (keyring === state) {
      faults.expect(status === 200, `${what}: not ready, though the keyring from before can sign`)
      return performance.now() - began
    }
    if (performance.now() - began > TIMEOUT_MS) {
      faults.add(`${what}: not ${state} within ${TIMEOUT_MS} ms but ${keyring}`)
      return performance.now() - began
    }
    await sleep(20)
  }
}
