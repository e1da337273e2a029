import fc from 'fast-check'
import t from 'tap'
import { readCursor, writeCursor } from '../../src/revocations/change-cursor.ts'
import { ChangeRing } from '../../src/revocations/change-ring.ts'
import { CURSOR_PATTERN } from '../../src/revocations/changes-schema.ts'
import { gatherTime } from '../../src/revocations/gathered-releases.ts'
import { MAX_RECENT, RecentRevocations } from '../../src/revocations/recent-revocations.ts'
import type { Revocation } from '../../src/revocations/revocation.ts'

const row = (seq: number, subject = `s${seq}`): Revocation => ({
  kind: 'session',
  subject,
  minVersion: null,
  seq,
  expiresAt: 9,
})
const rows = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => row(from + i))
const spans = (ring: ChangeRing, seq: number) => ring.after(seq)?.map((piece) => `${piece.after}-${piece.seq}`)

t.test('a cursor is read as it was written, and fits the pattern of followers', async (t) => {
  const digest = fc.stringMatching(/^[A-Za-z0-9_-]{8}$/)
  const tag = fc.stringMatching(/^([A-Za-z0-9_-]{16})?$/)
  const cursors = fc.record({ history: digest, seq: fc.maxSafeNat(), keys: digest, tag, renewals: fc.nat(9) })
  fc.assert(
    fc.property(cursors, (cursor) => {
      t.same(readCursor(writeCursor(cursor)), cursor)
      t.match(writeCursor(cursor), new RegExp(CURSOR_PATTERN))
    }),
    { numRuns: 50 },
  )
})

t.test('what is no cursor of ours is none', async (t) => {
  const good = 'AAAAAAAA.7.BBBBBBBB'
  t.ok(readCursor(good))
  for (const text of [
    '',
    '0',
    '7',
    'AAAAAAAA',
    'AAAAAAAA.7',
    'AAAAAAAA.7.',
    '.7.BBBBBBBB',
    'AAAAAAAA..BBBBBBBB',
    'AAAAAAAA.07.BBBBBBBB',
    'AAAAAAAA.-7.BBBBBBBB',
    'AAAAAAAA.1e3.BBBBBBBB',
    'AAAAAAAA.9007199254740993.BBBBBBBB', // more than a number can hold
    'AAAAAAAA.99999999999999999.BBBBBBBB',
    'AAAAAAA.7.BBBBBBBB',
    'AAAAAAAAA.7.BBBBBBBB',
    'AAAAAAAA.7.BBBBBBBB.',
    'AAAAAAAA.7.BBBBBBBB.0',
    'AAAAAAAA.7.BBBBBBBB.10',
    'AAAAAAAA.7.BBBBBBBB\n',
    'AAAAAAAA.٧.BBBBBBBB',
  ])
    t.equal(readCursor(text), undefined, JSON.stringify(text))
})

t.test('the ring gives every piece that a follower lacks, the first of them perhaps in part', async (t) => {
  const ring = new ChangeRing()
  ring.begin([], { floor: 0, seq: 10, iat: 5 })
  ring.push(rows(11, 12), { seq: 12, iat: 6 })
  ring.push(rows(13, 13), { seq: 13, iat: 7 })
  ring.push([], { seq: 15, iat: 8 }) // numbers without a row
  for (const [seq, pieces] of [
    [0, ['0-10', '10-12', '12-13', '13-15']],
    [10, ['10-12', '12-13', '13-15']],
    [11, ['10-12', '12-13', '13-15']],
    [12, ['12-13', '13-15']],
    [14, ['13-15']],
    [15, []],
    [16, []],
  ] as const)
    t.same(spans(ring, seq), pieces, String(seq))
  ring.reset(40)
  t.equal(ring.after(39), undefined)
  t.same(ring.after(40), [])
})

t.test('the ring keeps at most 256 pieces and 8,192 rows, and says from where on', async (t) => {
  const many = new ChangeRing()
  many.reset(0)
  for (let seq = 1; seq <= 300; seq += 1) many.push([row(seq)], { seq, iat: 1 })
  t.equal(many.after(43), undefined)
  t.equal(many.after(44)?.length, 256)
  const long = new ChangeRing()
  long.reset(0)
  for (let seq = 4000; seq <= 12_000; seq += 4000) long.push(rows(seq - 3999, seq), { seq, iat: 1 })
  t.equal(long.after(3999), undefined)
  t.equal(long.after(4000)?.length, 2)
  long.push(rows(12_001, 12_001 + 8192), { seq: 12_001 + 8192, iat: 1 })
  t.equal(long.after(20_192), undefined, 'one piece above the limit empties it')
  t.same(long.after(20_193), [])
})

t.test('after a boot the newest rows are short pieces, and a number is never cut in two', async (t) => {
  const ring = new ChangeRing()
  const together = Array.from({ length: 100 }, (_, i) => row(65, `t${i}`))
  ring.begin([...rows(1, 63), ...together, ...rows(66, 70)], { floor: 0, seq: 72, iat: 9 })
  t.same(spans(ring, 0), ['0-65', '65-72'])
  t.same(
    ring.after(0)?.map(({ iat }) => iat),
    [0, 9],
    'only the last one says up to when nothing is missing',
  )
  const rest = new ChangeRing()
  rest.begin(rows(100, 299), { floor: 99, seq: 299, iat: 9 })
  t.same(
    spans(rest, 99),
    ['99-163', '163-227', '227-291', '291-299'].map((span) => span),
  )
  t.equal(spans(rest, 98), undefined)
})

t.test('the newest rows are kept in order, and it is known from which number on', async (t) => {
  const recent = new RecentRevocations()
  t.same(recent.since(0), [])
  for (const one of rows(1, 2 * MAX_RECENT - 1)) recent.add(one)
  t.equal(recent.since(0)?.length, 2 * MAX_RECENT - 1)
  recent.add(row(2 * MAX_RECENT))
  t.equal(recent.floor, MAX_RECENT)
  t.equal(recent.since(MAX_RECENT - 1), undefined)
  t.equal(recent.since(MAX_RECENT)?.[0]?.seq, MAX_RECENT + 1)
  t.same(recent.since(2 * MAX_RECENT), [])
  recent.add(row(7)) // the store went back
  t.equal(recent.since(5), undefined)
  t.same(recent.since(6), [row(7)])
})

t.test('the more followers wait, the rarer are the releases, down to one in 1.6 seconds', async (t) => {
  for (const [waiting, milliseconds] of [
    [0, 100],
    [250, 100],
    [1000, 400],
    [2500, 1000],
    [4000, 1600],
    [10_000, 1600],
    [100_000, 1600],
  ] as const)
    t.equal(gatherTime(waiting), milliseconds, String(waiting))
})
