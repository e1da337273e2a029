import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { randomId } from '../../src/ids.ts'
import type { RefreshKey } from '../../src/keys/refresh-keys.ts'
import { decodeRefreshToken, encodeRefreshToken } from '../../src/sessions/refresh-token.ts'

// Refresh tokens.

const NOW = 1_800_000_000
const key = (signFrom = 0): RefreshKey => ({
  id: randomBytes(8).toString('base64url'),
  signFrom,
  secret: randomBytes(32),
})
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

const keys = [key()]
const claim = { sessionId: randomId(), counter: 7 }
const token = encodeRefreshToken(claim, keys, NOW)

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map((b) => Buffer.from(b))
const anyKey = fc.record({
  id: bytes(8).map((id) => id.toString('base64url')),
  signFrom: fc.nat(2 * NOW),
  secret: bytes(32),
})
const anyKeys = fc.uniqueArray(anyKey, { minLength: 1, maxLength: 4, selector: ({ id }) => id })
const anyClaim = fc.record({
  sessionId: bytes(16).map((id) => id.toString('base64url')),
  counter: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
})

t.test('what is encoded is decoded again, whichever keys there are, in 84 characters', async () => {
  fc.assert(
    fc.property(anyClaim, anyKeys, fc.nat(2 * NOW), (claim, keys, madeAt) => {
      const text = encodeRefreshToken(claim, keys, madeAt)
      const found = decodeRefreshToken(text, keys.toReversed())
      return /^srt_[\w-]{80}$/.test(text) && JSON.stringify(found) === JSON.stringify(claim)
    }),
    { numRuns: 1000 },
  )
})

t.test('the same session, counter and instant give the same text, and another counter another one', async () => {
  fc.assert(
    fc.property(anyClaim, anyKeys, fc.nat(2 * NOW), (claim, keys, madeAt) => {
      const [one, again] = [keys, keys.toReversed()].map((keys) => encodeRefreshToken(claim, keys, madeAt))
      const other = encodeRefreshToken({ ...claim, counter: (claim.counter + 1) % 2 ** 32 }, keys, madeAt)
      return one === again && one !== other
    }),
    { numRuns: 1000 },
  )
})

t.test('with any character changed to any other it is refused', async (t) => {
  t.same(decodeRefreshToken(token, keys), claim)
  const accepted: string[] = []
  for (let at = 0; at < token.length; at += 1) {
    for (const character of [...ALPHABET, '+', '/', '=', '.', ' ', '\n', '\0', 'é']) {
      if (character === token[at]) continue
      const forged = token.slice(0, at) + character + token.slice(at + 1)
      if (decodeRefreshToken(forged, keys) !== undefined) accepted.push(forged)
    }
  }
  t.same(accepted, [])
})

t.test('with anything left out, put in or exchanged it is refused', async () => {
  const position = fc.nat(token.length)
  fc.assert(
    fc.property(position, position, fc.string({ maxLength: 8 }), (from, to, text) => {
      const forged = token.slice(0, from) + text + token.slice(to)
      return forged === token || decodeRefreshToken(forged, keys) === undefined
    }),
    { numRuns: 3000 },
  )
})

const raw = token.slice(4)
const REFUSED: Record<string, unknown> = {
  empty: '',
  'the prefix alone': 'srt_',
  'no prefix': raw,
  'another prefix': `sat_${raw}`,
  'the prefix in upper case': `SRT_${raw}`,
  'the prefix twice': `srt_${token}`,
  'cut by one': token.slice(0, -1),
  'cut by a byte and more': token.slice(0, -4),
  'one more': `${token}A`,
  'a byte and more': `${token}AAAA`,
  padded: `${token}=`,
  'padded as base64 is': `${token}====`,
  'the alphabet of base64': `srt_${'+/'.repeat(40)}`,
  'a line feed behind it': `${token}\n`,
  'a line feed before it': `\n${token}`,
  'a space in it': `srt_ ${raw}`,
  'an access token': `${'a'.repeat(36)}.${'b'.repeat(300)}.${'c'.repeat(342)}`,
  huge: `srt_${'A'.repeat(1_000_000)}`,
  'all zeros': `srt_${'A'.repeat(80)}`,
  undefined: undefined,
  null: null,
  'a number': 12,
  'an object': {},
  'a list': [],
  'a list with it': [token],
  'a boolean': true,
}

t.test('what no key of ours made is undefined, and never an error', async (t) => {
  for (const [name, value] of Object.entries(REFUSED)) {
    t.equal(decodeRefreshToken(value as string, keys), undefined, name)
  }
  t.equal(decodeRefreshToken(token, []), undefined, 'no keys')
  t.equal(decodeRefreshToken(token, [key()]), undefined, 'another key')
  const namesake = { ...key(), id: keys[0]?.id ?? '' }
  t.equal(decodeRefreshToken(token, [namesake]), undefined, 'another key of the same name')
})

t.test('two keys never accept what the other made for itself', async (t) => {
  const [a, b] = [key(), key()]
  const made = encodeRefreshToken(claim, [a], NOW)
  const renamed = `srt_${Buffer.concat([Buffer.from(b.id, 'base64url'), Buffer.from(made.slice(4), 'base64url').subarray(8)]).toString('base64url')}`
  t.equal(decodeRefreshToken(renamed, [a, b]), undefined)
})

t.test('a counter that does not fit is an error, not another counter', async (t) => {
  for (const counter of [2 ** 32, -1]) t.throws(() => encodeRefreshToken({ ...claim, counter }, keys, NOW))
  t.throws(() => encodeRefreshToken(claim, [], NOW), TypeError)
})

t.test('during a change of the key both keys are accepted, and a repeat gives the same text', async (t) => {
  const [old, next] = [key(NOW - 1000), key(NOW + 60)]
  const before = encodeRefreshToken(claim, [old], NOW)
  t.equal(encodeRefreshToken(claim, [old, next], NOW), before, 'a key that waits changes nothing')
  t.equal(encodeRefreshToken(claim, [old, next], NOW + 59), before)
  const after = encodeRefreshToken(claim, [next, old], NOW + 60)
  t.not(after, before, 'it is used from its second on')
  t.equal(encodeRefreshToken(claim, [old, next], NOW), before, 'a repeat of the earlier rotation, asked for later')
  for (const text of [before, after]) t.same(decodeRefreshToken(text, [old, next]), claim)
  t.equal(decodeRefreshToken(before, [next]), undefined, 'gone with its key')
})
