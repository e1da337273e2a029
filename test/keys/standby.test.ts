import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { type PublicJwk, publicJwk } from '../../src/keys/jwk.ts'
import { type Keyring, UNDATED, viewAt } from '../../src/keys/keyring.ts'
import {
  brokenInvariants,
  planRevocation,
  planRotation,
  planStandby,
  shortestLead,
  signingKey,
  standbyKey,
  waitingKey,
} from '../../src/keys/rotation.ts'

const template = publicJwk(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)
const jwk = (n: number): PublicJwk => ({ ...template, kid: `key${n}` })

// One service over time: `a` signs, `b` is the next one or stands by, `c` stands by.
const [a, b, c] = [jwk(1), jwk(2), jwk(3)]
const alone = planStandby(planRotation([], a, 0, 0), b, 100)
const planned = planStandby(planRotation(alone, b, 5000, 900), c, 5010)
const imported = planRotation(alone, c, 5000, 900)
const life = (keyring: Keyring) =>
  Object.fromEntries(
    keyring.map(({ kid, sign_from, sign_until }) => [
      kid,
      [sign_from, sign_until].map((instant) => (instant === UNDATED ? 'undated' : instant)),
    ]),
  )

t.test('a standby key is published without a date, and the next plan gives it one', async (t) => {
  t.same(life(alone), { key1: [0, 'undated'], key2: ['undated', null] })
  t.same(life(planned), { key1: [0, 5900], key2: [5900, 'undated'], key3: ['undated', null] })
  t.match(waitingKey(planned, 5010), { kid: 'key2', publish_at: 100 }, 'published since it stood by')
  t.same(life(imported), { key1: [0, 5900], key3: [5900, 'undated'], key2: ['undated', null] })
  t.match(waitingKey(imported, 5010), { kid: 'key3', publish_at: 5000 })
  t.equal(standbyKey(planned, 5900)?.kid, 'key3')
  t.equal(waitingKey(planned, 5900), undefined)
  t.throws(() => planStandby(alone, c, 200), TypeError)
  t.throws(() => planRotation(planned, jwk(4), 5010, 900), TypeError)
  t.same(life(planRotation(alone, b, 50, 0)).key2, [100, null], 'never before it is published, by whatever clock')
})

type Plan = [name: string, before: Keyring, kid: string, now: number, after: ReturnType<typeof life>]
const REVOCATIONS: Plan[] = [
  ['the current one: the standby key signs', alone, 'key1', 700, { key1: [0, 700], key2: [700, null] }],
  ['the standby key: the current one goes on', alone, 'key2', 700, { key1: [0, null], key2: ['undated', 'undated'] }],
  [
    'the current one: the next key signs before its date',
    planned,
    'key1',
    5100,
    { key1: [0, 5100], key2: [5100, 'undated'], key3: ['undated', null] },
  ],
  [
    'the next key: the current one signs on, and the standby key stays',
    planned,
    'key2',
    5100,
    { key1: [0, 'undated'], key3: ['undated', null], key2: [5900, 5900] },
  ],
  [
    'the standby key: the plan goes on',
    planned,
    'key3',
    5100,
    { key1: [0, 5900], key2: [5900, null], key3: ['undated', 'undated'] },
  ],
  [
    'the current one while a key waits that is younger than the standby key: the one with the longer publication signs',
    imported,
    'key1',
    5100,
    { key1: [0, 5100], key2: [5100, 5900], key3: [5900, null] },
  ],
]
for (const [name, before, kid, now, after] of REVOCATIONS) {
  t.test(`revoking ${name}`, async (t) => {
    const keyring = planRevocation(before, kid, now, undefined)
    t.same(life(keyring), after)
    t.same(brokenInvariants(keyring), [])
  })
}

t.test('a standby key is taken away and replaced as often as it must', async (t) => {
  let keyring = alone
  for (const n of [4, 5, 6]) {
    const { kid = '' } = standbyKey(keyring, 700) ?? {}
    keyring = planStandby(planRevocation(keyring, kid, 700, undefined), jwk(n), 700)
    t.same(brokenInvariants(keyring), [])
  }
  t.same([signingKey(keyring, 700)?.kid, standbyKey(keyring, 700)?.kid], ['key1', 'key6'])
})

t.test('a key that has been published for long needs a short lead only', async (t) => {
  const timing = { jwksMaxAge: 300, skew: 5 }
  const LEADS = [
    [-60, 308],
    [0, 308],
    [100, 208],
    [300, 8],
    [301, 8],
    [9e9, 8],
  ] as const
  for (const [publishedFor, lead] of LEADS) t.equal(shortestLead(publishedFor, timing), lead, String(publishedFor))
})

t.test(
  'revoking the waiting key lets the present one go on; revoking the present one starts the waiting one',
  async (t) => {
    const two = planRotation(planRotation([], jwk(1), 0, 0), jwk(2), 1000, 900)
    const withoutNext = planRevocation(two, 'key2', 1100, undefined)
    t.match(signingKey(withoutNext, 99_999), { kid: 'key1', sign_until: null, verify_until: null })

    const withoutCurrent = planRevocation(two, 'key1', 1100, jwk(3))
    t.match(signingKey(withoutCurrent, 1100), { kid: 'key2', sign_from: 1100 })
    t.equal(withoutCurrent.length, 2, 'no third key is needed')

    const alone = planRevocation(planRotation([], jwk(1), 0, 0), 'key1', 1100, jwk(3))
    t.match(signingKey(alone, 1100), { kid: 'key3' })
    t.throws(() => planRevocation(alone, 'key1', 1200, undefined), { message: /revoked already/ })
    t.throws(() => planRevocation(alone, 'nope', 1200, undefined), { message: /no key nope/ })
  },
)

t.test('a service left without a signing key gets one by the next rotation', async (t) => {
  const none = planRevocation(planRotation([], jwk(1), 0, 0), 'key1', 1000, undefined)
  t.equal(viewAt(none, 1000).current, undefined)
  const again = planRotation(none, jwk(2), 2000, 900)
  t.equal(viewAt(again, 2000).current?.kid, 'key2')
  t.same(brokenInvariants(again), [])
})
