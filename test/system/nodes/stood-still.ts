import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { LOOK_FIRST_AFTER_SECONDS } from '../../../src/revocations/follow-revocations.ts'
import { type Connection, connection, loginOn, person, workersOf } from '../../support/connections.ts'
import { runScript } from '../../support/scripts.ts'
import { partOf, type ServerProcess } from '../../support/service.ts'

// A process that stood still knows nothing of what was revoked meanwhile, and the requests that waited for it may come
// before its timers: it must look before it accepts the first of them.

const EMAIL = 'grace@example.com'
const REQUESTS = 50
const statusOn = async ({ ask }: Connection, token: string) => (await ask('GET', '/v1/me', undefined, token)).status

interface Frozen {
  readonly pid: number
  /** Connections to the process that stands still, opened before. */
  readonly connections: readonly Connection[]
}

/** Stops a process, lets `meanwhile` happen, and asks it with the tokens in the moment in which it goes on. */
async function askedAfterPause(frozen: Frozen, tokens: string[], meanwhile: () => Promise<void>): Promise<number[]> {
  const { pid, connections } = frozen
  process.kill(pid, 'SIGSTOP')
  try {
    await meanwhile()
    await pause(LOOK_FIRST_AFTER_SECONDS * 1000 + 100) // the length of the pause is what is tested
    const asked = tokens.map((token, i) => statusOn(connections[i % connections.length] as Connection, token))
    await pause(50) // they wait in its sockets
    process.kill(pid, 'SIGCONT')
    return await Promise.all(asked)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}

const EACH = Array.from({ length: REQUESTS }, (_, index) => index)

/**
 * Ends sessions on one process while another one stands still, and asks that one with their tokens.
 *
 * @param email of an account
 */
export async function acceptsNothingWithdrawn(t: Test, on: Connection, email: string, frozen: Frozen): Promise<void> {
  const known = (await loginOn(on, email)).access
  const other = (await loginOn(on, email)).access
  const fresh = (await loginOn(on, email)).access
  for (const { ask } of frozen.connections) t.equal((await ask('GET', '/v1/me', undefined, known)).status, 200)
  const tokens = EACH.flatMap((index) => [known, other, ...(index % 10 === 0 ? [fresh] : [])])
  const statuses = await askedAfterPause(frozen, tokens, async () => {
    for (const token of [known, other]) t.equal((await on.ask('POST', '/v1/logout', {}, token)).status, 204)
  })
  const withdrawn = statuses.filter((_, index) => tokens[index] !== fresh)
  t.equal(withdrawn.length, 2 * REQUESTS)
  t.same([...new Set(withdrawn)], [401], 'nothing that was withdrawn is accepted')
  t.same([...new Set(statuses.filter((_, index) => tokens[index] === fresh))], [200], 'and what is good is')
}

/** One of two servers stands still while the other one ends sessions, and then while a key is revoked. */
export async function acceptsNothingAfterPause(t: Test, [here, there]: readonly ServerProcess[]): Promise<void> {
  if (here === undefined || there === undefined) throw new TypeError('this takes two servers')
  const on = await connection(t, here)
  await person(on, EMAIL)
  const connections = await Promise.all(EACH.slice(0, 8).map(() => connection(t, there)))
  const frozen = { pid: Number(there.child.pid), connections }
  await t.test('sessions', (t) => acceptsNothingWithdrawn(t, on, EMAIL, frozen))
  await t.test('a key', async (t) => {
    const { access } = await loginOn(on, EMAIL)
    for (const one of connections) t.equal(await statusOn(one, access), 200)
    const statuses = await askedAfterPause(frozen, Array(REQUESTS).fill(access), async () => {
      t.match(await runScript('scripts/keys.ts', ['revoke', partOf(access, 0).kid], here.env), { code: 0 })
    })
    t.same([...new Set(statuses)], [401], 'nothing that the revoked key has signed is accepted')
  })
}

/** The process of a worker whose connection is known: when it stands still, its connection does not answer. */
export function frozenWorker(server: ServerProcess, worker: Connection): Frozen {
  const { output } = server
  const line = output()
    .split('\n')
    .find((text) => text.includes('"request_id":"') && text.includes(worker.process))
  const pid = workersOf(server).find((one) => line?.includes(`"pid":${one},`))
  if (pid === undefined) throw new Error(`no worker has answered as ${worker.process}`)
  return { pid, connections: [worker] }
}
