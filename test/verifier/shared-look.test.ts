import t from 'tap'
import { NobodyAnswered, SharedLook } from '../../src/verifier/store/shared-look.ts'
import { boundedStore, StoreFailed, type VerifierStore } from '../../src/verifier/store/verifier-store.ts'
import { VirtualTime } from './virtual-time.ts'

/** What a store takes for a call, and after which a text is seen by others than its writer. Milliseconds. */
interface Slowness {
  readonly call: () => number
  readonly seenAfter?: () => number
}

const THOUSAND = 1000
const ANSWER_MS = 200

/** Verifiers that share a store, and an issuer that takes its time. */
function sharing(slow: Slowness) {
  const time = new VirtualTime()
  const { random } = Math
  const texts = new Map<string, { value: string; from: number; writer: number; before: string | undefined }>()
  const issuer = { asked: 0, isDown: false, dies: false }
  const failures: StoreFailed[] = []
  const storeOf = (reader: number): VerifierStore => ({
    async get(name) {
      await time.delay(slow.call())
      const text = texts.get(name)
      return text === undefined || time.monotonic() >= text.from || text.writer === reader ? text?.value : text.before
    },
    async put(name, value) {
      await time.delay(slow.call())
      const from = time.monotonic() + (slow.seenAfter?.() ?? 0)
      texts.set(name, { value, from, writer: reader, before: texts.get(name)?.value })
    },
  })
  const start = (reader: number, change: Partial<VerifierStore> = {}) => {
    const store = boundedStore({ ...storeOf(reader), ...change }, 60_000)
    const look = new SharedLook({
      store,
      name: 'note',
      ...time,
      timeout: 5000,
      skew: 5,
      random,
      onFailure: (error) => failures.push(error),
    })
    return () =>
      look.look({
        found: () => store.get('value'),
        async ask() {
          issuer.asked += 1
          await time.delay(ANSWER_MS)
          if (issuer.dies) await new Promise(() => undefined)
          if (issuer.isDown) throw new TypeError('fetch failed')
          await store.put('value', 'keys')
          return 'keys'
        },
        settleMs: 400,
        mostFailedSeconds: 2,
      })
  }
  /** Starts so many verifiers with pauses between them, and waits for all. */
  const cold = (verifiers: number, apart: () => number) =>
    time.until(
      Promise.allSettled(
        Array.from({ length: verifiers }, async (_, i) => {
          await time.delay(apart())
          return start(i)()
        }),
      ),
    )
  return { time, texts, issuer, failures, random, start, cold }
}

const kinds = (results: PromiseSettledResult<string>[]) => {
  const counts: Record<string, number> = {}
  for (const one of results) {
    const kind = one.status === 'fulfilled' ? one.value : one.reason.name
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}

t.test('a thousand cold starts that share a store ask the issuer at most five times', async (t) => {
  const upTo = (most: number) => () => Math.random() * most
  for (const [what, slow, apart] of [
    ['all at the same moment', { call: () => 1 }, () => 0],
    ['all at once, a quick store', { call: upTo(5) }, upTo(10)],
    ['all at once, a slow store', { call: upTo(100) }, upTo(10)],
    ['within a second', { call: upTo(20) }, upTo(1000)],
    ['within ten seconds', { call: upTo(20) }, upTo(10_000)],
    ['all at once, and texts are seen late', { call: upTo(20), seenAfter: upTo(300) }, upTo(10)],
    ['within a second, and texts are seen late', { call: upTo(20), seenAfter: upTo(300) }, upTo(1000)],
  ] as const) {
    const { cold, issuer } = sharing(slow)
    t.strictSame(kinds(await cold(THOUSAND, apart)), { keys: THOUSAND }, `${what}: all have the keys`)
    t.ok(issuer.asked >= 1 && issuer.asked <= 5, `${what}: ${issuer.asked} requests`)
    await cold(THOUSAND, () => 0)
    t.ok(issuer.asked <= 5, `${what}: the next thousand ask nobody`)
  }
})

t.test('an issuer that is away is not asked by each of a thousand, and then it is back', async (t) => {
  const { cold, issuer, time } = sharing({ call: () => 5 })
  issuer.isDown = true
  const first = kinds(await cold(THOUSAND, () => 0))
  t.strictSame(first, { TypeError: 1, NobodyAnswered: THOUSAND - 1 })
  t.equal(issuer.asked, 1)
  for (let second = 0; second < 60; second += 1) {
    await time.until(time.delay(1000))
    await cold(20, () => 0)
  }
  t.ok(issuer.asked > 15 && issuer.asked < 60, `${issuer.asked} requests in a minute`)
  issuer.isDown = false
  await time.until(time.delay(2000))
  t.strictSame(kinds(await cold(THOUSAND, () => 0)), { keys: THOUSAND })
})

t.test('who asks and dies stops nobody for longer than one request', async (t) => {
  const { time, start, cold, issuer } = sharing({ call: () => 5 })
  issuer.dies = true
  start(-1)().catch(() => undefined)
  await time.until(time.delay(1000))
  t.equal(issuer.asked, 1)
  issuer.dies = false
  const began = time.monotonic()
  const early = kinds(await cold(10, () => 0))
  t.ok(time.monotonic() - began < 7500, 'nobody waits for much longer than one request takes')
  t.strictSame(early, { keys: 10 })
  await time.until(time.delay(1000))
  t.strictSame(kinds(await cold(THOUSAND, () => 0)), { keys: THOUSAND })
  t.ok(issuer.asked <= 5, `${issuer.asked} requests`)
})

t.test('a store that is of no use leads to a request, not to none', async (t) => {
  const later = { who: 'x', state: 'asks', at: 1_800_000_100, failures: 0 }
  for (const [what, change, hasFailed] of [
    ['keeps nothing', { get: async () => undefined, put: async () => undefined }, false],
    ['can not be read', { get: () => Promise.reject(new Error('down')) }, true],
    ['can not be written', { put: () => Promise.reject(new Error('down')) }, true],
    ['has a note of the future', { get: async (n: string) => (n === 'note' ? JSON.stringify(later) : null) }, false],
    ['has a note that is none', { get: async (n: string) => (n === 'note' ? '[1]' : null) }, false],
    ['has a huge note', { get: async (n: string) => (n === 'note' ? ' '.repeat(1e6) : null) }, false],
    [
      'has a note without dates',
      { get: async (n: string) => (n === 'note' ? '{"who":"x","state":"asks"}' : null) },
      false,
    ],
  ] as const) {
    const { start, time, issuer, failures } = sharing({ call: () => 5 })
    const look = start(1, change)
    if (what === 'can not be written')
      await t.rejects(time.until(look()), StoreFailed) // of this test's own `ask`
    else t.equal(await time.until(look()), 'keys', what)
    t.equal(issuer.asked, 1, what)
    t.equal(failures.length > 0, hasFailed, what)
  }
})

t.test('a note that always says that somebody asks is believed twice, and then no more', async (t) => {
  const { start, time, issuer } = sharing({ call: () => 5 })
  const note = () => JSON.stringify({ who: 'x', state: 'asks', at: time.now(), failures: 0 })
  const look = start(1, { get: async (name) => (name === 'note' ? note() : undefined) })
  for (let i = 0; i < 2; i += 1) await t.rejects(time.until(look()), new NobodyAnswered())
  t.equal(issuer.asked, 0)
  t.equal(await time.until(look()), 'keys')
})

t.test('a note that always says that somebody has failed is not believed for ever', async (t) => {
  const { start, time, issuer } = sharing({ call: () => 5 })
  const note = () => JSON.stringify({ who: 'x', state: 'failed', at: time.now(), failures: 1 })
  const look = start(1, { get: async (name) => (name === 'note' ? note() : undefined) })
  for (const isDown of [true, false]) {
    const before = issuer.asked
    issuer.isDown = isDown
    for (let i = 0; i < 29; i += 1) {
      await t.rejects(time.until(look()), new NobodyAnswered())
      await time.until(time.delay(990))
    }
    t.equal(issuer.asked, before)
    await time.until(time.delay(2000))
    if (isDown) await t.rejects(time.until(look()), TypeError, 'it asks, in vain')
    else t.equal(await time.until(look()), 'keys')
    t.equal(issuer.asked, before + 1, 'and then it believes again')
  }
})

t.test('an old note of a failure stops nobody, however many failures it counts', async (t) => {
  for (const [age, isAsked] of [
    [1, false],
    [2, true],
    [3600, true],
  ] as const) {
    const { start, time, issuer, texts } = sharing({ call: () => 5 })
    const note = { who: 'x', state: 'failed', at: time.now() - age, failures: 1000 }
    texts.set('note', { value: JSON.stringify(note), from: 0, writer: 0, before: undefined })
    await time.until(start(1)().catch(() => undefined))
    t.equal(issuer.asked === 1, isAsked, `${age} s`)
  }
})

t.test('an own note that the store shows late is not taken for that of another verifier', async (t) => {
  const { start, time, issuer } = sharing({ call: () => 5 })
  const notes: string[] = []
  const look = start(1, {
    get: async (name) => (name === 'note' ? notes.at(-2) : undefined),
    put: async (name, value) => void (name === 'note' && notes.push(value)),
  })
  const began = time.monotonic()
  t.equal(await time.until(look()), 'keys')
  t.equal(issuer.asked, 1)
  t.ok(time.monotonic() - began < 3000, 'it does not wait for itself')
})
