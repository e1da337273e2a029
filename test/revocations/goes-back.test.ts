import fc from 'fast-check'
import t from 'tap'
import type { FollowEvent } from '../../src/revocations/follow-event.ts'
import { FollowedRevocations } from '../../src/revocations/follow-revocations.ts'
import { good } from '../support/claims.ts'
import { FakeStore } from './fake-store.ts'

// A store that goes back to what it was: a failover to a standby that missed the last transactions, a restored backup.

let milliseconds = 0
const account = (minVersion: number | null, subject = 'a') => ({ kind: 'account' as const, subject, minVersion })

function follow(store: FakeStore, now = () => good.iat) {
  const events: FollowEvent[] = []
  const report = (event: FollowEvent) => void events.push(event)
  const node = new FollowedRevocations({ store, now, monotonic: () => milliseconds, wall: () => good.iat, report })
  const refuses = (sid: string) => node.judge({ ...good, sid }) === 'revoked'
  const judges = (token_version: number, sub = 'a') => node.judge({ ...good, sub, token_version })
  const lacking = () =>
    events.flatMap((event) => ('lacking' in event ? event.lacking.map(({ subject }) => subject) : []))
  return { node, events, refuses, judges, lacking }
}

const OVERTAKEN: Record<string, number> = {
  'the store has fewer numbers': 0,
  'as many again': 2,
  'more than were known': 5,
}

for (const [name, again] of Object.entries(OVERTAKEN))
  t.test(`lost revocations stay in force, and later ones are not missed: ${name}`, async (t) => {
    const store = new FakeStore()
    const one = follow(store)
    const two = follow(store) // it never knew what was lost
    store.commit('before')
    await Promise.all([one.node.catchUp(), two.node.catchUp()])
    const goBack = store.backup()
    store.commit('lost')
    store.commit('lost too')
    await one.node.catchUp()
    const { history, seq } = one.node

    goBack()
    for (let i = 0; i < again; i += 1) store.commit(`after ${i}`)
    await one.node.catchUp()
    await two.node.catchUp()
    for (const sid of ['before', 'lost', 'lost too']) t.ok(one.refuses(sid), sid)
    for (let i = 0; i < again; i += 1) t.ok(one.refuses(`after ${i}`) && two.refuses(`after ${i}`), `after ${i}`)
    t.not(one.node.history, history)
    t.equal(two.node.history, one.node.history)
    t.ok(one.node.seq > seq && two.node.seq > seq, 'numbers never repeat')
    t.same(one.lacking(), ['lost', 'lost too'])
    t.same(two.lacking(), [])
    t.same([one.node.historyChanges, two.node.historyChanges], [1, 1])
    t.match(one.events, [{ changed: { from: history, seq, to: one.node.history } }])

    store.commit('new')
    await Promise.all([one.node.catchUp(), two.node.catchUp()])
    t.ok(one.refuses('new') && two.refuses('new'))
    t.same([one.events.length, two.events.length], [1, 1], 'said once')
  })

t.test('versions of accounts: what was refused stays refused, and the same change again is told apart', async (t) => {
  const store = new FakeStore()
  const { node, judges, lacking } = follow(store)
  store.write(account(3), account(5, 'b'), account(8, 'c'), account(2, 'same'), account(null, 'gone'))
  await node.catchUp()
  const goBack = store.backup()
  store.write(account(7))
  store.write(account(null, 'b'))
  store.write(account(9, 'c'))
  await node.catchUp()
  goBack()
  store.write(account(6)) // less than was lost, with a later number
  store.write(account(6, 'b'))
  store.write({ ...account(9, 'c'), expiresAt: good.exp + 1 }) // the very change that was lost, made again
  await node.catchUp()
  t.same([judges(6), judges(7), judges(99, 'b'), judges(8, 'c')], ['stale', 'good', 'revoked', 'stale'])
  t.same(lacking().sort(), ['a', 'b', 'c'], 'and what was never lost is not among them')
})

t.test('a read that fails after the store went back forgets nothing of what the store lacks', async (t) => {
  const store = new FakeStore()
  const { node, events, lacking, refuses } = follow(store)
  store.write(account(3))
  const goBack = store.backup()
  store.write(account(4))
  store.commit('lost')
  await node.catchUp()
  goBack()
  store.write({ ...account(4), expiresAt: good.exp + 1 })
  for (let i = 0; i < 12_000; i += 1) store.commit(`after ${i}`)
  let reads = 0
  store.answer = async () => {
    reads += 1
    store.away = reads === 2 ? new Error('away') : undefined // between two pages
  }
  await t.rejects(node.catchUp(), { message: 'away' })
  await node.catchUp()
  t.ok(refuses('lost') && refuses('after 11999'))
  t.same(lacking().sort(), ['a', 'lost'])
  t.equal(events.filter((event) => 'changed' in event).length, 1)
})

t.test('twice in a row, and a node that slept through both', async (t) => {
  const store = new FakeStore()
  const [awake, asleep] = [follow(store), follow(store)]
  store.commit('before')
  await Promise.all([awake.node.catchUp(), asleep.node.catchUp()])
  for (const round of [1, 2]) {
    const goBack = store.backup()
    store.commit(`lost ${round}`)
    await awake.node.catchUp()
    goBack()
    store.commit(`after ${round}`)
    await awake.node.catchUp()
    t.equal(awake.node.historyChanges, round)
  }
  await asleep.node.catchUp()
  for (const sid of ['before', 'lost 1', 'after 1', 'lost 2', 'after 2']) t.ok(awake.refuses(sid), sid)
  for (const sid of ['before', 'after 1', 'after 2']) t.ok(asleep.refuses(sid), sid)
  t.equal(asleep.node.history, awake.node.history)
})

t.test('a new history that is lost again is noticed, and its numbers are not given twice', async (t) => {
  const store = new FakeStore()
  const { node, refuses } = follow(store)
  store.commit('a')
  const goBack = store.backup()
  store.commit('b')
  await node.catchUp()
  goBack()
  await node.catchUp()
  const { seq, history } = node
  goBack() // also the new history is gone
  store.commit('c')
  await node.catchUp()
  t.ok(refuses('c') && refuses('b'))
  t.ok(node.seq > seq)
  t.not(node.history, history)
})

t.test('a database that can not be written: said once, read on, and put right when it can', async (t) => {
  const store = new FakeStore()
  const { node, events, refuses } = follow(store)
  store.commit('a')
  const goBack = store.backup()
  store.commit('b')
  await node.catchUp()
  goBack()
  store.readOnly = new Error('read-only')
  for (const sid of ['c', 'd', 'e']) {
    store.commit(sid)
    milliseconds += 10_000
    await node.catchUp()
    t.ok(refuses(sid), sid)
  }
  t.same(events, [{ stuck: store.readOnly }])
  t.equal(node.age(), 30, 'what is published lacks the numbers that were given again, and does not claim to be new')
  const { seq } = node
  store.readOnly = undefined
  await node.catchUp()
  t.match(events.slice(1), [{ changed: {} }])
  t.ok(node.seq > seq && node.age() === 0)
})

t.test('a server that could not write goes on when another one could', async (t) => {
  const store = new FakeStore()
  const [one, two] = [follow(store), follow(store)]
  store.commit('a')
  const goBack = store.backup()
  store.commit('b')
  await Promise.all([one.node.catchUp(), two.node.catchUp()])
  goBack()
  store.readOnly = new Error('read-only')
  await one.node.catchUp()
  store.readOnly = undefined
  await two.node.catchUp()
  await one.node.catchUp()
  t.equal(one.node.history, two.node.history)
  t.same(one.lacking(), ['b'])
  const { length } = store.reads
  await one.node.catchUp()
  t.equal(store.reads.length, length + 1, 'and reads only what is new')
})

t.test('marks that are gone are no alarm: everything is read once more', async (t) => {
  const store = new FakeStore()
  const { node, events, refuses } = follow(store)
  store.commit('a')
  await node.catchUp()
  for (const sid of ['b', 'c', 'd']) store.commit(sid)
  for (const seq of [0, 1, 2]) store.marks.delete(seq)
  await node.catchUp()
  t.ok(refuses('d'))
  t.same(events, [])
  const { length } = store.reads
  await node.catchUp()
  t.equal(store.reads.length, length + 1, 'once')
})

t.test(
  'a server of before takes numbers without marks: they are read, without an alarm and without a re-read',
  async (t) => {
    const store = new FakeStore()
    const { node, events, refuses } = follow(store)
    store.commit('a')
    await node.catchUp()
    for (const sid of ['b', 'c']) {
      store.commit(sid)
      store.marks.delete(store.head)
      await node.catchUp()
      t.ok(refuses(sid))
    }
    t.same(events, [])
    t.same(store.reads.at(-1)?.seq, 2)
  },
)

t.test(
  'whatever is committed, lost and read in whatever order: nothing committed is missed, nothing forgotten',
  async (t) => {
    const step = fc.constantFrom('commit', 'read 0', 'read 1', 'save', 'go back')
    const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const store = new FakeStore()
      const nodes = [follow(store), follow(store)]
      const known = [new Set<string>(), new Set<string>()]
      let goBack = () => undefined as unknown
      for (const [index, step] of steps.entries()) {
        if (step === 'commit') store.commit(`s${index}`)
        else if (step === 'save') goBack = store.backup()
        else if (step === 'go back') goBack()
        else {
          const which = step === 'read 0' ? 0 : 1
          for (const { subject } of store.committed) known[which]?.add(subject)
          const before = nodes[which]?.node.seq ?? 0
          await nodes[which]?.node.catchUp()
          for (const sid of known[which] ?? []) if (!nodes[which]?.refuses(sid)) throw new Error(`${sid} is good`)
          if ((nodes[which]?.node.seq ?? 0) < before) throw new Error('the number went down')
        }
      }
    })
    await fc.assert(property, { numRuns: 1000 })
    t.pass('1,000 orders')
  },
)
