import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { readFeed, writeFeed } from '../../src/verifier/store/stored-feed.ts'
import { readKeys, writeKeys } from '../../src/verifier/store/stored-keys.ts'
import { storeName } from '../../src/verifier/store/stored-text.ts'
import { boundedStore, MAX_STORED_CHARACTERS, StoreFailed } from '../../src/verifier/store/verifier-store.ts'

const FAILED = { name: 'StoreFailed' }
const NOW = 1_800_000_000
const origin = { issuer: 'https://signet.example', uri: 'https://signet.example/.well-known/jwks.json' }
const bounds = { now: NOW, skew: 5, keysMaxStale: 3600 }
const keys = { jwks: '{"keys":\n[]}', madeAt: NOW - 10, maxAge: 300, etag: '"one"' }
const feed = {
  at: NOW - 3,
  parts: [
    { since: NOW - 60, lines: ['a.b.c', 'd.e.f'] },
    { since: NOW, lines: ['g.h.i'] },
  ],
}

/** What somebody may have done to a text. */
const BROKEN: Readonly<Record<string, (text: string) => string>> = {
  empty: () => '',
  'cut in its first line': (text) => text.slice(0, 20),
  'cut at the end': (text) => text.slice(0, -1),
  'longer by one character': (text) => `${text}x`,
  'another version': (text) => text.replace('"v":1', '"v":2'),
  'of another issuer': (text) => text.replace('"issuer":"https://signet', '"issuer":"https://other'),
  'of another place': (text) => text.replace('"uri":"https://signet', '"uri":"https://other'),
  'not JSON': (text) => text.replace('{', '['),
  'JSON of another type': (text) => text.replace(/^.*\n/, 'null\n'),
  'a list': (text) => text.replace(/^.*\n/, '[]\n'),
  'without dates': (text) => text.replace(/"(madeAt|at)":\d+/, '"x":1'),
  'with a text for a date': (text) => text.replace(/"(madeAt|at)":(\d+)/, '"$1":"$2"'),
  'with a date below 0': (text) => text.replace(/"(madeAt|at)":/, '"$1":-'),
  'with half a second': (text) => text.replace(/"(madeAt|at)":\d+/, '"$1":1.5'),
  'dated in the future': (text) => text.replace(/"(madeAt|at)":\d+/, `"$1":${NOW + 6}`),
  'a first line that does not end': (text) => 'x'.repeat(100_000) + text,
}

t.test('keys come out as they went in', async (t) => {
  let same = 0
  const all = fc.record({
    jwks: fc.string({ unit: 'grapheme' }),
    madeAt: fc.integer({ min: NOW - 3000, max: NOW + 5 }),
    maxAge: fc.integer({ min: 5, max: 86_400 }),
    etag: fc.option(fc.string({ maxLength: 50 }), { nil: undefined }),
  })
  fc.assert(
    fc.property(all, (one) => {
      deepEqual(readKeys(writeKeys(origin, one), origin, { ...bounds, keysMaxStale: 4000 }), { ...one })
      same += 1
    }),
    { numRuns: 100 },
  )
  t.equal(same, 100)
})

t.test('keys are good until max-age and keysMaxStale are over, by the clock of who reads', async (t) => {
  const read = (change: Partial<typeof keys>, now: number) => () =>
    readKeys(writeKeys(origin, { ...keys, madeAt: NOW, ...change }), origin, { ...bounds, now })
  for (const [what, change, now, isGood] of [
    ['new', {}, NOW, true],
    ['in the last second', {}, NOW + 300 + 3600 - 1, true],
    ['over', {}, NOW + 300 + 3600, false],
    ['with a longer max-age', { maxAge: 600 }, NOW + 300 + 3600, true],
    ['with a max-age beyond the bounds', { maxAge: 86_401 }, NOW, false],
    ['with a max-age of a million years', { maxAge: 1e15 }, NOW, false],
    ['of a clock that is ahead a little', {}, NOW - 5, true],
    ['of the future', {}, NOW - 6, false],
    ['with a huge etag', { etag: 'x'.repeat(1001) }, NOW, false],
  ] as const)
    isGood ? t.doesNotThrow(read(change, now), what) : t.throws(read(change, now), FAILED, what)
})

t.test('a feed comes out as it went in', async (t) => {
  const text = writeFeed(origin, feed)
  t.strictSame(readFeed(text, origin, NOW, 5), feed)
})

t.test('what is no text of a verifier is refused, whatever was done to it', async (t) => {
  const texts = {
    keys: [writeKeys(origin, keys), (text: string) => readKeys(text, origin, bounds)],
    feed: [writeFeed(origin, feed), (text: string) => readFeed(text, origin, NOW, 5)],
  } as const
  for (const [kind, [text, read]] of Object.entries(texts)) {
    t.doesNotThrow(() => read(text))
    for (const [what, change] of Object.entries(BROKEN)) {
      t.not(change(text), text, `${kind}: ${what}: is changed`)
      t.throws(() => read(change(text)), FAILED, `${kind}: ${what}`)
    }
    const anything = fc.tuple(fc.nat(text.length), fc.nat(text.length), fc.string({ unit: 'binary' }))
    fc.assert(
      fc.property(anything, ([from, to, between]) => {
        try {
          read(text.slice(0, from) + between + text.slice(to))
        } catch (error) {
          if (!(error instanceof StoreFailed)) throw error
        }
      }),
      { numRuns: 500 },
    )
  }
  const cutParts = writeFeed(origin, feed).replace('"since":"1799999940 1800000000"', '"since":"1799999940"')
  t.throws(() => readFeed(cutParts, origin, NOW, 5), FAILED, 'feed: other parts than it says')
  const many = { at: NOW, parts: Array(65).fill(feed.parts[0]) }
  t.throws(() => readFeed(writeFeed(origin, many), origin, NOW, 5), FAILED, 'feed: too many parts')
})

t.test('the name of a text is one of its issuer and place, and shows neither', async (t) => {
  const names = [
    storeName('keys', origin),
    storeName('feed', origin),
    storeName('keys', { ...origin, issuer: 'https://signet.exampl' }),
    storeName('keys', { ...origin, uri: `${origin.uri}?sig=secret` }),
  ]
  t.equal(new Set(names).size, names.length)
  t.equal(storeName('keys', { ...origin }), names[0])
  for (const name of names) t.match(name, /^signet-(keys|feed)-[a-z0-9]{14,}$/)
})

t.test('whatever a store does, a call ends in time with a text, with nothing, or with a StoreFailed', async (t) => {
  const never = (): Promise<never> => new Promise(() => undefined)
  const fails = () => Promise.reject(new Error('ECONNREFUSED'))
  const store = (get: () => unknown) => boundedStore({ get: get as never, put: get as never }, 20)
  t.equal(await store(async () => 'text').get('a'), 'text')
  for (const nothing of [undefined, null]) t.equal(await store(async () => nothing).get('a'), undefined)
  const useless: Record<string, () => unknown> = {
    'a number': async () => 7,
    bytes: async () => new Uint8Array(1),
    'a text that is too long': async () => 'x'.repeat(MAX_STORED_CHARACTERS + 1),
    'no answer': never,
    'an error': fails,
    'an error at once': () => {
      throw new Error('no connection')
    },
    'an error that is none': () => Promise.reject(undefined),
  }
  for (const [what, get] of Object.entries(useless)) await t.rejects(store(get).get('a'), FAILED, what)
  for (const put of [never, fails]) await t.rejects(store(put).put('a', 'b'), FAILED)
  await t.rejects(store(never).put('a', 'x'.repeat(MAX_STORED_CHARACTERS + 1)), /put: more than/)
})
