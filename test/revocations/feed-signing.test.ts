import { getEventListeners } from 'node:events'
import { mock } from 'node:test'
import { decodeJwt } from 'jose'
import t from 'tap'
import type { FeedClaims } from '../../src/revocations/feed-format.ts'
import { fakeTimeouts, realTimeouts } from '../support/fake-timeouts.ts'
import { bareFeed, NET, NOW, settled } from './bare-feed.ts'

const claimsOf = ({ body }: { body: Buffer }) => decodeJwt<FeedClaims>(body.toString())
const NEVER = new AbortController().signal
/** Milliseconds */
const LONG = 3_600_000

t.test('a document is signed once, however many ask, at once or one after the other', async (t) => {
  const { feed, set, made, signatures } = bareFeed(t)
  const all = await Promise.all(Array.from({ length: 50 }, made))
  for (let i = 0; i < 50; i += 1) all.push(await feed.current())
  t.equal(new Set(all).size, 1)
  t.equal(signatures(), 1)
  set.seq += 1
  const next = await Promise.all(Array.from({ length: 50 }, made))
  t.equal(new Set(next).size, 1)
  t.not(next[0], all[0])
  t.equal(signatures(), 2)
})

t.test('it is signed anew for a number, a withdrawn key, another signing key, and every half-life', async (t) => {
  const { set, ring, clock, made, signatures } = bareFeed(t)
  const changes: Record<string, () => void> = {
    number: () => Object.assign(set, { seq: 1 }),
    'withdrawn key': () => Object.assign(ring, { revoked: ['two'] }),
    'signing key': () => Object.assign(ring, { kid: 'three' }),
    'half-life': () => Object.assign(clock, { seconds: NOW + 30 }),
  }
  const etags = new Set([(await made()).etag])
  for (const [name, change] of Object.entries(changes)) {
    change()
    etags.add((await made()).etag)
    t.equal(etags.size, signatures(), name)
  }
  t.equal(signatures(), 5)
  clock.seconds = NOW + 59
  await made()
  t.equal(signatures(), 5)
})

t.test('equal lists are equal texts on every node, also when an entry ends within the half-life', async (t) => {
  const entry = { kind: 'session', subject: 's', minVersion: null, seq: 1 } as const
  const bodies = []
  for (const seconds of [0, 15, 29]) {
    const { set, clock, made } = bareFeed(t)
    set.list.add({ ...entry, expiresAt: NOW + 10 })
    set.list.add({ ...entry, subject: 'over', expiresAt: NOW })
    clock.seconds += seconds
    const document = await made()
    t.match(claimsOf(document), { iat: NOW, exp: NOW + 60, sessions: ['s'] })
    bodies.push(document.body.toString())
  }
  t.equal(new Set(bodies).size, 1)
})

t.test('a copy is as old as the look at the store behind it', async (t) => {
  const { set, made } = bareFeed(t)
  set.age = 39.5
  t.match(claimsOf(await made()), { iat: NOW - 60, exp: NOW })
  set.age = 30
  t.match(claimsOf(await made()), { iat: NOW - 30, exp: NOW + 30 })
})

t.test('whoever asks after a change gets it, also when a signature was under way', async (t) => {
  const { feed, set, made, signatures } = bareFeed(t)
  const before = feed.current()
  mock.timers.tick(1)
  while (signatures() === 0) await Promise.resolve()
  set.seq += 1 // what is signed at this moment does not know it
  const after = await made()
  t.equal(claimsOf(after).seq, 1)
  await before
})

t.test('a flood of revocations is no flood of signatures, and a long list takes no more than its share', async (t) => {
  for (const [work, pause] of [
    [0, 100],
    [5000, 50_000],
  ] as const) {
    const { feed, set, made, signatures } = bareFeed(t)
    set.work = work
    await made()
    set.seq += 1
    const next = feed.current()
    await settled()
    mock.timers.tick(pause - 1)
    await settled()
    t.equal(signatures(), 1, `${pause - 1} ms`)
    mock.timers.tick(1)
    await settled()
    t.equal(signatures(), 2, `${pause} ms`)
    await next
  }
})

t.test('beyond the limit nobody waits, and who hangs up makes room', async (t) => {
  const { feed, set, made } = bareFeed(t, { maxWaiters: 2 })
  const { etag } = await made()
  const first = new AbortController()
  const waits = [feed.newerThan(etag, LONG, first.signal, 'one'), feed.newerThan(etag, LONG, NEVER, 'two')]
  t.equal(feed.waiting, 2)
  await feed.newerThan(etag, LONG, NEVER, 'three')
  t.equal(feed.waiting, 2, 'the third was answered at once')
  first.abort()
  await waits[0]
  t.equal(feed.waiting, 1)
  const third = feed.newerThan(etag, LONG, NEVER, 'three')
  await set.look()
  t.equal(feed.waiting, 2, 'a look that found nothing new wakes nobody')
  set.seq += 1
  const woken = set.look()
  await made()
  await Promise.all([waits[1], third, woken])
  t.equal(feed.waiting, 0)
})

t.test('a wait ends by itself, and there is none with an old tag or a caller who is gone', async (t) => {
  const { feed, made } = bareFeed(t)
  const { etag } = await made()
  const wait = feed.newerThan(etag, 1000, NEVER, NET)
  mock.timers.tick(999)
  t.equal(feed.waiting, 1)
  mock.timers.tick(1)
  t.equal(feed.waiting, 0)
  await wait
  await feed.newerThan('"old"', LONG, NEVER, NET)
  await feed.newerThan(etag, LONG, AbortSignal.abort(), NET)
  t.equal(feed.waiting, 0)
})

t.test('closing lets everybody go, and from then on nobody waits and nothing is followed', async (t) => {
  const { feed, set, made } = bareFeed(t)
  const { etag } = await made()
  const wait = feed.newerThan(etag, LONG, NEVER, NET)
  feed.close()
  await wait
  await feed.newerThan(etag, LONG, NEVER, NET)
  t.equal(feed.waiting, 0)
  t.equal(set.followed, false)
})

t.test('while no key may sign there is no document, and whoever waits goes on waiting', async (t) => {
  const { feed, set, ring, made } = bareFeed(t)
  const { etag } = await made()
  const wait = feed.newerThan(etag, LONG, NEVER, NET)
  ring.signs = false
  await set.look()
  t.equal(feed.waiting, 1)
  await t.rejects(feed.current(), { message: 'no key signs' })
  Object.assign(ring, { signs: true, kid: 'two' })
  const woken = set.look()
  await made()
  await Promise.all([wait, woken])
})

t.test('whoever waited leaves no timer and no listener behind', async (t) => {
  const { feed, made } = bareFeed(t)
  const { etag } = await made()
  realTimeouts()
  t.teardown(fakeTimeouts)
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const { signal } = new AbortController()
  const waits = Array.from({ length: 5 }, () => feed.newerThan(etag, LONG, signal, NET))
  t.equal(feed.waiting, 5)
  t.equal(timers(), before + 5)
  feed.close()
  await Promise.all(waits)
  t.equal(timers(), before)
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

t.test(
  'changes that a look found are in the answer that waited for it, also within the time of gathering',
  async (t) => {
    let look: (() => void) | undefined
    const lookFirst = () => (look === undefined ? undefined : Promise.resolve().then(look))
    const { feed, set, ticked } = bareFeed(t, { lookFirst })
    const documents = async (cursor: string) => {
      const { whole, lines } = await ticked(feed.changes(cursor, 0, new AbortController().signal, NET))
      return [...(whole?.pages ?? []).map(({ line }) => line), ...lines].map((line) => decodeJwt(line.toString()))
    }
    const revoke = () => {
      set.seq += 1
    }
    revoke()
    await set.look() // it is released, and the time to the next release begins
    const cursor = String((await documents('0')).at(-1)?.cursor)
    look = revoke
    t.match((await documents(cursor)).at(-1), { after: 1, seq: 2 })
  },
)
