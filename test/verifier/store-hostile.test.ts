import t from 'tap'
import type { VerifierOptions, VerifierStore } from '../../src/verifier/index.ts'
import { memoryStore, storeWorld } from './store-world.ts'

const MODES: Record<string, Partial<VerifierOptions>> = { follow: {}, 'on-demand': { mode: 'on-demand' } }

/** A change of the body of a text, whose first line says the right length again. */
const body = (change: (body: string) => string) => (text: string) => {
  const at = text.indexOf('\n')
  const changed = change(text.slice(at + 1))
  return text.slice(0, at).replace(/"length":\d+/, `"length":${changed.length}`) + text.slice(at).slice(0, 1) + changed
}
const lines = (change: (lines: string[]) => string[]) =>
  body((text) => `${change(text.split('\n\n')[0]?.split('\n') ?? []).join('\n')}\n\n`)

/** What may stand in the store in place of the text of the feed, or of the keys. */
const FEEDS: Record<string, (text: string) => string> = {
  empty: () => '',
  'not a text of a verifier': () => '<html>',
  cut: (text) => text.slice(0, -10),
  'of another issuer': (text) => text.replace('"issuer":"https://signet', '"issuer":"https://other'),
  'of another version': (text) => text.replace('"v":1', '"v":2'),
  'dated in the future': (text) => text.replace(/"at":\d+/, '"at":1900000000'),
  'a forged signature': lines((all) => all.map((line) => `${line.slice(0, -8)}AAAAAAAA`)),
  'a payload that was changed': lines(([first = '', ...others]) => [first.replace(/\.(.{20})/, '.$1A'), ...others]),
  'lines that are none': lines(() => ['x', 'y']),
  'without its whole': lines((all) => all.slice(1)),
  'the other way round': lines((all) => all.toReversed()),
  'an empty part': body(() => '\n\n'),
  'longer than the bounds': () => 'x'.repeat(17 * 1024 * 1024),
}
const KEYS: Record<string, (text: string) => string> = {
  empty: () => '',
  'not a text of a verifier': () => '[]',
  cut: (text) => text.slice(0, -10),
  'of another issuer': (text) => text.replace('"issuer":"https://signet', '"issuer":"https://other'),
  'dated in the future': (text) => text.replace(/"madeAt":\d+/, '"madeAt":1900000000'),
  'not JSON': body(() => '<html>'),
  'without a key': body(() => '{"keys":[]}'),
  'a key that is none': body((text) => text.replace(/"n":".{40}/, '"n":"')),
}

t.test('whatever the store has, tokens are judged as without it', async (t) => {
  for (const [mode, options] of Object.entries(MODES))
    for (const [kind, changes] of Object.entries({ feed: FEEDS, keys: KEYS })) {
      const { create, issuer, delay, verdict, pass, events } = storeWorld(t)
      const { store, texts } = memoryStore(delay)
      issuer.revoked.push('s1')
      const first = create({ ...options, store })
      await verdict(first, 's2')
      issuer.revoked.push('s3')
      await pass(11)
      await verdict(first, 's2')
      await pass(2)
      first.close()
      const [name = ''] = [...texts.keys()].filter((one) => one.includes(kind) && !one.endsWith('note'))
      const good = texts.get(name) ?? ''
      for (const [what, change] of Object.entries(changes)) {
        const text = change(good)
        t.not(text, good, `${mode}, ${kind}: ${what}: is changed`)
        texts.set(name, text)
        events.length = 0
        const verifier = create({ ...options, store })
        t.equal(await verdict(verifier, 's2'), 'good', `${mode}, ${kind}: ${what}`)
        for (const sid of ['s1', 's3'])
          t.equal(await verdict(verifier, sid), 'invalid_token', `${mode}, ${kind}: ${what}: ${sid}`)
        const failed = events.filter(({ type }) => type === 'store_failed')
        t.ok(failed.length >= 1, `${mode}, ${kind}: ${what}: is told`)
        await pass(2)
        verifier.close()
      }
    }
})

t.test('whatever the store does, tokens are judged as without it', async (t) => {
  const never = (): Promise<never> => new Promise(() => undefined)
  const stores: Record<string, Partial<Record<keyof VerifierStore, unknown>>> = {
    'get rejects': { get: () => Promise.reject(new Error('down')) },
    'get throws': {
      get() {
        throw new Error('down')
      },
    },
    'get never ends': { get: never },
    'get gives a number': { get: async () => 7 },
    'get gives bytes': { get: async () => new Uint8Array(4) },
    'put rejects': { put: () => Promise.reject(new Error('read-only')) },
    'put never ends': { put: never },
    'put does nothing': { put: async () => undefined },
    'nothing works': { get: () => Promise.reject(undefined), put: () => Promise.reject(undefined) },
  }
  for (const [mode, options] of Object.entries(MODES))
    for (const [what, change] of Object.entries(stores)) {
      const { create, issuer, delay, verdict, pass, events } = storeWorld(t)
      const store = { ...memoryStore(delay).store, ...change } as VerifierStore
      issuer.revoked.push('s1')
      const verifier = create({ ...options, store })
      t.equal(await verdict(verifier, 's2'), 'good', `${mode}: ${what}`)
      t.equal(await verdict(verifier, 's1'), 'invalid_token', `${mode}: ${what}`)
      issuer.revoked.push('s3')
      await pass(12)
      t.equal(await verdict(verifier, 's3'), 'invalid_token', `${mode}: ${what}: news comes too`)
      if (what !== 'put does nothing')
        t.ok(
          events.some(({ type }) => type === 'store_failed'),
          `${mode}: ${what}: is told`,
        )
      verifier.close()
    }
})

t.test('a store that went back, or that a slow verifier wrote, makes nobody forget', async (t) => {
  for (const [mode, options] of Object.entries(MODES)) {
    const { create, issuer, delay, verdict, pass } = storeWorld(t)
    const { store, texts } = memoryStore(delay)
    const verifier = create({ ...options, store })
    await verdict(verifier, 's2')
    await pass(2)
    const old = new Map(texts)
    issuer.revoked.push('s1')
    await pass(11)
    t.equal(await verdict(verifier, 's1'), 'invalid_token', mode)
    await pass(2)
    for (const [name, text] of old) texts.set(name, text)
    issuer.isDown = true
    for (let i = 0; i < 8; i += 1) {
      await pass(10)
      t.equal(await verdict(verifier, 's1'), 'invalid_token', `${mode}: ${i}`)
    }
  }
})

t.test(
  'a date in the store that says that somebody has just looked is believed as long as the signed copy is fresh',
  async (t) => {
    const { create, issuer, delay, verdict, pass, now } = storeWorld(t)
    const { store, texts } = memoryStore(delay)
    await verdict(create({ mode: 'on-demand', store }), 's2')
    const [name = ''] = [...texts.keys()].filter((one) => one.includes('feed') && !one.endsWith('note'))
    const text = texts.get(name) ?? ''
    const lying = {
      ...store,
      get: async (asked: string) => (asked === name ? text.replace(/"at":\d+/, `"at":${now()}`) : store.get(asked)),
    }
    const verifier = create({ mode: 'on-demand', store: lying })
    await verdict(verifier, 's2')
    issuer.revoked.push('s1')
    await pass(30)
    t.equal(await verdict(verifier, 's1'), 'good', 'whoever writes to the store can hold back news for a minute')
    await pass(40)
    t.equal(await verdict(verifier, 's1'), 'invalid_token')
  },
)

t.test('a store that still has the history before is not followed back to it', async (t) => {
  const { create, issuer, delay, verdict, pass } = storeWorld(t)
  const { store, texts } = memoryStore(delay)
  await verdict(create({ mode: 'on-demand', store }), 's2')
  const old = new Map(texts)
  texts.clear()
  issuer.history = 'h2'
  await pass(5)
  const verifier = create({ mode: 'on-demand', store })
  await verdict(verifier, 's2')
  for (const [name, text] of old) texts.set(name, text)
  issuer.asked.length = 0
  await pass(11)
  t.equal(await verdict(verifier, 's2'), 'good')
  t.strictSame(
    issuer.asked.filter((path) => path.includes('after=')),
    ['/.well-known/revocations?after=h2.0'],
  )
})
