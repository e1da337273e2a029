import fc from 'fast-check'
import t from 'tap'
import { base64url, byAtob, canonicalBytes } from '../../src/tokens/base64url.ts'

t.test('with and without Buffer a text has the same bytes, or is refused', async (t) => {
  const texts = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
    fc.string({ maxLength: 12 }),
    fc.string({ unit: fc.constantFrom(...'AQgw-_+/= \n.é'), maxLength: 8 }),
  )
  fc.assert(
    fc.property(texts, (text) => {
      const [one, other] = [canonicalBytes(text), byAtob(text)]
      return one === undefined
        ? other === undefined
        : Buffer.from(one).equals(other ?? Buffer.of()) && base64url(one) === text
    }),
    { numRuns: 300 },
  )
  for (const text of ['', 'A', 'AB', 'AAA=', 'AA==', 'AA\n', ' AAA', 'A+AA', 'AAAAA'])
    t.equal(byAtob(text), undefined, JSON.stringify(text))
  t.same([...(byAtob('_-8') ?? [])], [255, 239])
})

t.test('a Buffer of a bundler, which does not know base64url, is left alone', async (t) => {
  const { Buffer } = globalThis
  const restore = () => void Object.assign(globalThis, { Buffer })
  t.teardown(restore)
  const from = () => {
    throw new TypeError('Unknown encoding: base64url')
  }
  const bundled = Object.assign(() => undefined, { from, isEncoding: () => false })
  Object.assign(globalThis, { Buffer: bundled })
  const module = '../../src/tokens/base64url.ts?without-node'
  const fresh = await import(module).finally(restore)
  Object.assign(globalThis, { Buffer: bundled })
  const outcomes = ['_-8', '_-9'].map((text) => {
    try {
      return fresh.canonicalBytes(text)
    } catch (error) {
      return error
    }
  })
  restore()
  t.same(outcomes, [Uint8Array.of(255, 239), undefined])
})
