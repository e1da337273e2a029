import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Child } from '../bench/child.ts'
import { type Failure, Faults, type Run, Unavailable } from './failure.ts'
import { checkIntegrity } from './kill.ts'
import { EMAIL, startLoad, told } from './load.ts'
import { type Node, newService, startNode, statusOf, terminate } from './node.ts'
import { pairOf, people, postLogin, postRefresh, register } from './people.ts'

const SESSIONS = 6
/** Everything must work again within this time after there is room on the disk. */
const TIMEOUT_MS = 5000
/** A client logs in after ten pauses: one login at least must meet the full disk. */
const MOST_PAUSE_MS = 60

/**
 * A file system of a few megabytes, with the database and the keys on it, is filled to the last byte; later there is
 * room again.
 */
export const diskFailure: Failure = {
  title: 'the disk with the database and the keys is full, under load, and has room again',
  async run(run) {
    const disk = mountSmallDisk(run.folder)
    try {
      const env = await newService(run, {
        DATABASE_URL: `sqlite:${join(disk, 'data', 'signet.db')}`,
        KEYS_DIR: join(disk, 'keys'),
        MAX_SESSIONS_PER_ACCOUNT: '1000',
      })
      return await fillAndEmpty(await startNode(env), disk, run)
    } finally {
      execFileSync('umount', ['--lazy', disk])
    }
  },
}

async function fillAndEmpty(node: Node, disk: string, { seconds, pause = 0 }: Run) {
  const { origin, env } = node
  const faults = new Faults()
  const sessions = await people(origin, EMAIL, SESSIONS)
  const registered: string[] = []
  const load = startLoad({ origin: () => origin, sessions, pause: Math.min(Math.max(pause, 20), MOST_PAUSE_MS) })

  const ballast = join(disk, 'ballast')
  fill(disk, ballast)
  const before = { ...load.good }
  const deadline = performance.now() + seconds * 1000
  for (let i = 0; performance.now() < deadline; i += 1) {
    const email = `full-${i}@example.com`
    const { status, saysWhen } = await register(origin, email)
    if (status === 201) registered.push(email)
    else faults.expect(status === 503 && saysWhen, `a registration on a full disk: ${status}`)
    fill(disk, ballast) // takes the space that a rollback has freed
    await sleep(50)
  }
  const refused = [...load.other].some(([name]) => name === 'loggedIn: 503 store_unavailable')
  faults.expect(refused, 'the disk was never full: no login was refused')
  faults.expect(load.good.verified > before.verified + 10, 'verified requests did not go on')
  await checkKeys(env.KEYS_DIR ?? '', origin, faults)

  rmSync(ballast)
  const healed = await heal(node, faults)
  await load.stop()
  for (const [name, count] of load.other)
    if (!/^(refreshed|loggedIn): 503 store_unavailable$/.test(name)) faults.add(`${count} × ${name}`)
  faults.expect(load.withoutRetryAfter === 0, `${load.withoutRetryAfter} answers 503 without Retry-After`)
  for (const { tokens } of load.clients)
    faults.expect((await postRefresh(origin, tokens)).status === 200, 'a session was lost')
  const last = registered.at(-1)
  if (last !== undefined) faults.expect((await postLogin(origin, last)).status === 200, 'a registration was lost')
  const { code } = await terminate(node)
  faults.expect(code === 0, `exit code ${code}`)
  checkIntegrity(String(env.DATABASE_URL), faults)
  return { figures: `${told(load)}; healed ${Math.round(healed)} ms after there was room`, faults: faults.list() }
}

/** A key rotation without room on the disk changes nothing and leaves no partial file. */
async function checkKeys(dir: string, origin: string, faults: Faults): Promise<void> {
  const published = async () => {
    const jwks = (await (await fetch(`${origin}/.well-known/jwks.json`)).json()) as { keys: unknown[] }
    return jwks.keys.length
  }
  const before = await published()
  const rotated = new Child({ args: ['scripts/keys.ts', 'rotate'], env: { KEYS_DIR: dir } })
  const refusal = await rotated.finished().then(
    () => undefined,
    (error: Error) => error.message,
  )
  faults.expect(refusal !== undefined, 'a rotation on a full disk says that it is done')
  faults.expect(/ENOSPC|disk is full/.test(refusal ?? ''), `the refusal does not say why: ${refusal}`)
  const after = await published()
  faults.expect(after === before, `${after} keys in the JWKS after a rotation that failed, ${before} before`)
}

async function heal({ origin, env }: Node, faults: Faults): Promise<number> {
  const began = performance.now()
  const isWell = async () =>
    pairOf(await postLogin(origin, EMAIL)) !== undefined && (await statusOf(`${origin}/health/ready`)) === 200
  while (!(await isWell())) {
    if (performance.now() - began > TIMEOUT_MS) {
      faults.add(`not healed within ${TIMEOUT_MS} ms`)
      break
    }
    await sleep(20)
  }
  const healed = performance.now() - began
  const rotated = new Child({ args: ['scripts/keys.ts', 'rotate'], env: { KEYS_DIR: env.KEYS_DIR ?? '' } })
  await rotated.finished().catch((error: Error) => faults.add(`a rotation with room again: ${error.message}`))
  return healed
}

function mountSmallDisk(folder: string): string {
  const disk = join(folder, 'disk')
  mkdirSync(disk)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk], { stdio: 'pipe' })
  } catch {
    throw new Unavailable('it takes root on Linux to mount a small file system')
  }
  return disk
}

/** Writes until the disk is full. */
function fill(disk: string, ballast: string): void {
  const file = openSync(ballast, 'a')
  try {
    const piece = Buffer.alloc(4096)
    while (statfsSync(disk).bavail > 0) writeSync(file, piece)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(file)
  }
}
