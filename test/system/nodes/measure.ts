import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { accounts, adminOf } from '../../support/scripts.ts'
import { change, login, logout, register, type ServerProcess, type Tokens, verdict } from '../../support/service.ts'

type Nodes = readonly [ServerProcess, ServerProcess]

interface Revocation {
  readonly kind: 'by request' | 'by script'
  readonly what: string
  readonly refusal: 'invalid_token' | 'token_stale'
  readonly tokens: Tokens
  revoke(on: ServerProcess): Promise<void>
}

/**
 * Revokes on one node, waits until the other one refuses, and prints how long that took: from the moment in which the
 * revocation is acknowledged to the first refusal of the node that was not told. A node that never refuses is stopped
 * by the time limit of tap.
 *
 * @param each how many logouts, suspensions and role changes
 * @param byScript how many suspensions and role changes by the operator's script
 */
export async function measureRevocations(t: Test, nodes: Nodes, each: number, byScript: number): Promise<void> {
  const delays = { 'by request': [] as number[], 'by script': [] as number[] }
  const all = await revocations(nodes[0], each, byScript)
  for (const [index, { kind, what, revoke, tokens, refusal }] of all.entries()) {
    const [on, other] = index % 2 === 0 ? nodes : ([nodes[1], nodes[0]] as const)
    for (const node of nodes) t.equal(await verdict(node, tokens), 200)
    await pause(Math.random() * 250) // anywhere between two looks of the other node, not always just after one
    await revoke(on)
    const acknowledged = performance.now()
    const seen = await firstRefusal(other, tokens)
    delays[kind].push(performance.now() - acknowledged)
    t.equal(seen, refusal, what)
    if (kind === 'by script') await firstRefusal(on, tokens) // nobody told this one either
    for (const node of nodes) t.equal(await verdict(node, tokens), refusal, 'and it stays so')
  }
  for (const [kind, list] of Object.entries(delays)) t.comment(`${t.name}, ${kind}: ${summary(list)}`)
}

async function firstRefusal(node: ServerProcess, tokens: Tokens): Promise<string> {
  for (;;) {
    const seen = await verdict(node, tokens)
    if (seen !== 200) return seen
    await pause(15) // no more often: whoever asks without a pause takes the node's time away
  }
}

/** Logged-in accounts, and a function that revokes each of them. */
async function revocations(node: ServerProcess, each: number, byScript: number): Promise<Revocation[]> {
  const crowd = randomUUID() // nodes may be measured more than once
  const admin = await adminOf(node, `admin-${crowd}@example.com`)
  const { env } = node
  const all: Revocation[] = []
  const add = async (
    count: number,
    about: Pick<Revocation, 'kind' | 'what' | 'refusal'>,
    how: (on: ServerProcess, person: { id: string; email: string; tokens: Tokens }) => Promise<void>,
  ) => {
    for (let i = 0; i < count; i += 1) {
      const email = `${all.length}-${crowd}@example.com`
      const id = await register(node, email)
      const tokens = await login(node, email)
      all.push({ ...about, tokens, revoke: (on) => how(on, { id, email, tokens }) })
    }
  }
  const refused = { kind: 'by request', refusal: 'invalid_token' } as const
  const stale = { kind: 'by request', refusal: 'token_stale' } as const
  await add(each, { ...refused, what: 'a logout' }, (on, { tokens }) => logout(on, tokens))
  await add(each, { ...refused, what: 'a suspension' }, (on, { id }) => change(on, admin, id, { status: 'suspended' }))
  await add(each, { ...stale, what: 'new roles' }, (on, { id }) => change(on, admin, id, { roles: ['auditor'] }))
  await add(byScript, { ...refused, what: 'a suspension', kind: 'by script' }, (_, { email }) =>
    accounts(env, `suspend ${email}`),
  )
  await add(byScript, { ...stale, what: 'new roles', kind: 'by script' }, (_, { email }) =>
    accounts(env, `set-roles ${email} --role auditor`),
  )
  return all
}

/** Median, 99th percentile and largest of some milliseconds, in words. */
export function summary(milliseconds: readonly number[]): string {
  const sorted = milliseconds.toSorted((a, b) => a - b)
  const at = (share: number) => `${(sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN).toFixed(1)} ms`
  return `median ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} of ${sorted.length}`
}
