import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { type PublicJwk, publicJwk } from '../../src/keys/jwk.ts'
import { type Keyring, phase, viewAt } from '../../src/keys/keyring.ts'
import {
  brokenInvariants,
  heirOf,
  jwksMaxAge,
  minimumLead,
  planRevocation,
  planRotation,
  planStandby,
  RELOAD_INTERVAL_SECONDS,
  shortestLead,
  signingKey,
  standbyKey,
  stoppedSigning,
  unsafePlans,
  waitingKey,
  withoutDeadKeys,
} from '../../src/keys/rotation.ts'

const template = publicJwk(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)
const jwk = (n: number): PublicJwk => ({ ...template, kid: `key${n}` })
const START = 1_000_000

/** Every version of the manifest, with the time at which it was written on the clock of the script's machine. */
type History = { readonly writtenAt: number; readonly keyring: Keyring }[]

interface World {
  readonly skew: number
  readonly maxAge: number
  readonly ttl: number
  readonly history: History
}

// Time is true time; a machine's clock shows it plus an offset of 0..skew, so that two clocks differ by skew at the
// most.
const world = fc
  .record({
    skew: fc.integer({ min: 0, max: 60 }),
    maxAge: fc.integer({ min: 1, max: 4000 }),
    ttl: fc.integer({ min: 60, max: 900 }),
    scriptOffset: fc.double({ min: 0, max: 1, noNaN: true }),
    steps: fc.array(
      fc.record({
        wait: fc.integer({ min: 1, max: 5000 }),
        extra: fc.integer({ min: 0, max: 2000 }),
        prune: fc.boolean(),
        // Not always: a manifest of an older version has no standby key, and a run may be killed before it makes one.
        standBy: fc.boolean(),
      }),
      {
        minLength: 1,
        maxLength: 8,
      },
    ),
  })
  .map(({ skew, maxAge, ttl, scriptOffset, steps }): World => {
    const offset = Math.floor(scriptOffset * skew)
    const history: { writtenAt: number; keyring: Keyring }[] = [
      { writtenAt: START, keyring: planRotation([], jwk(0), START + offset, 0) },
    ]
    let time = START + 10_000
    const timing = { jwksMaxAge: maxAge, skew }
    steps.forEach(({ wait, extra, prune, standBy }, index) => {
      time += wait
      const now = time + offset
      const before = history.at(-1)?.keyring ?? []
      const tidy = prune ? withoutDeadKeys(before, now) : before
      const standby = standbyKey(tidy, now)
      const lead = shortestLead(standby === undefined ? 0 : now - standby.publish_at, timing) + extra
      const next = standby?.jwk ?? jwk(2 * index + 1)
      const planned = waitingKey(tidy, now) ? tidy : planRotation(tidy, next, now, lead)
      const lacks = standBy && standbyKey(planned, now) === undefined
      history.push({ writtenAt: time, keyring: lacks ? planStandby(planned, jwk(2 * index + 2), now) : planned })
    })
    return { skew, maxAge, ttl, history }
  })

const node = fc.record({
  offset: fc.double({ min: 0, max: 1, noNaN: true }),
  delay: fc.double({ min: 0, max: RELOAD_INTERVAL_SECONDS, noNaN: true }),
})
type Node = { offset: number; delay: number }

/** What a node has loaded at a true time: the newest manifest that is older than its reload delay. */
function loaded({ history, skew }: World, { offset, delay }: Node, time: number) {
  const newest = history.filter(({ writtenAt }) => writtenAt <= time - delay).at(-1) ?? history[0]
  return { keyring: newest?.keyring ?? [], now: Math.floor(time + offset * skew) }
}

const signer = (world: World, node: Node, time: number) => {
  const { keyring, now } = loaded(world, node, time)
  return viewAt(keyring, now).current?.kid ?? 'none'
}
const published = (world: World, node: Node, time: number) => {
  const { keyring, now } = loaded(world, node, time)
  return viewAt(keyring, now).published.map(({ kid }) => kid)
}
const instant = fc.double({ min: START + 10_000, max: START + 80_000, noNaN: true })
const share = fc.double({ min: 0, max: 1, noNaN: true })

t.test('a token signed by any node verifies at every other node for its whole life', async () => {
  fc.assert(
    fc.property(world, node, node, instant, share, (world, a, b, signedAt, age) => {
      const kid = signer(world, a, signedAt)
      return published(world, b, signedAt + age * world.ttl).includes(kid)
    }),
    { numRuns: 3000 },
  )
})

t.test('a verifier whose cache obeys max-age has the key of every token it can meet', async () => {
  fc.assert(
    fc.property(world, node, node, instant, share, share, (world, source, a, fetchedAt, cacheAge, tokenAge) => {
      const { keyring, now } = loaded(world, source, fetchedAt)
      const cached = published(world, source, fetchedAt)
      const maxAge = jwksMaxAge(keyring, now, { jwksMaxAge: world.maxAge, skew: world.skew })
      const usedAt = fetchedAt + cacheAge * maxAge
      const signedAt = Math.max(START + 10_000, usedAt - tokenAge * world.ttl)
      return cached.includes(signer(world, a, signedAt))
    }),
    { numRuns: 3000 },
  )
})

t.test('at every instant exactly one key is current, and the plan is sound', async () => {
  fc.assert(
    fc.property(world, fc.integer({ min: START + 200, max: START + 80_000 }), ({ history, maxAge, skew, ttl }, now) => {
      const keyring = history.at(-1)?.keyring ?? []
      const current = keyring.filter((entry) => phase(entry, now) === 'current')
      const timing = { jwksMaxAge: maxAge, skew }
      const last = history.at(-1)?.writtenAt ?? 0
      return (
        brokenInvariants(keyring).length === 0 &&
        unsafePlans(keyring, now, timing, ttl).length === 0 &&
        (now < last || current.length === 1) // entries of the past may be pruned
      )
    }),
  )
})

t.test(
  'a revoked key signs and verifies nowhere, whatever its phase was, and somebody signs in its place',
  async () => {
    fc.assert(
      fc.property(
        world,
        node,
        fc.nat(),
        fc.integer({ min: -60, max: 60 }),
        ({ history, skew, maxAge, ttl }, { offset }, pick, clock) => {
          const last = history.at(-1) ?? { writtenAt: START, keyring: [] }
          const now = last.writtenAt + skew + 1
          const kid = last.keyring[pick % last.keyring.length]?.kid ?? ''
          const after = planRevocation(last.keyring, kid, now, jwk(99))
          const view = viewAt(after, Math.floor(now + offset * skew) + clock)
          return (
            brokenInvariants(after).length === 0 &&
            unsafePlans(after, now, { jwksMaxAge: maxAge, skew }, ttl).length === 0 &&
            view.current !== undefined &&
            view.current.kid !== kid &&
            view.published.every((entry) => entry.kid !== kid) &&
            view.published.includes(view.current) // also on a node whose clock is behind
          )
        },
      ),
      { numRuns: 2000 },
    )
  },
)

t.test(
  'who takes over from a revoked key is in every cache that obeys max-age, if it was published for long',
  async () => {
    fc.assert(
      fc.property(world, node, share, share, ({ history, skew, maxAge, ttl }, source, revokedLater, cacheAge) => {
        const last = history.at(-1) ?? { writtenAt: START, keyring: [] }
        const revokedAt = last.writtenAt + Math.ceil(revokedLater * 20_000)
        const now = revokedAt + skew
        const current = signingKey(last.keyring, now)
        const heir = heirOf(last.keyring, now)
        fc.pre(current !== undefined && heir !== undefined)
        fc.pre(heir.publish_at + minimumLead({ jwksMaxAge: maxAge, skew }) <= now)
        const after = planRevocation(last.keyring, current.kid, now, undefined)
        const cached = published({ history, skew, maxAge, ttl }, source, revokedAt - cacheAge * maxAge)
        return signingKey(after, now)?.kid === heir.kid && cached.includes(heir.kid)
      }),
      { numRuns: 2000 },
    )
  },
)

t.test('a private half goes when no clock can still sign with it, an entry when no token can name it', async (t) => {
  const keyring = planRotation(planRotation([], jwk(1), 0, 0), jwk(2), 1000, 900)
  t.same(stoppedSigning(keyring, 1959), [])
  t.match(stoppedSigning(keyring, 1960), [{ kid: 'key1' }])
  t.equal(withoutDeadKeys(keyring, 1900 + 960 + 59).length, 2)
  t.equal(withoutDeadKeys(keyring, 1900 + 960 + 60).length, 1)
})

t.test('broken keyrings are told apart from sound ones', async (t) => {
  const [first, second] = planRotation(planRotation([], jwk(1), 0, 0), jwk(2), 1000, 900)
  if (!first || !second) throw new Error('two entries')
  const BROKEN: [Keyring, RegExp][] = [
    [[first, { ...second, sign_from: 1901 }], /in the second in which/],
    [[first, { ...second, sign_from: 1899 }], /in the second in which/],
    [[{ ...first, sign_until: null, verify_until: null }, second], /in the second in which/],
    [[{ ...first, verify_until: null }, second], /both/],
    [[{ ...first, verify_until: 1800 }, second], /stops verifying/],
    [[first, { ...second, publish_at: 1901 }], /before it is published/],
    [[first, { ...second, sign_until: 1800, verify_until: 9999 }], /before it starts/],
  ]
  t.same(brokenInvariants([first, second]), [])
  for (const [keyring, message] of BROKEN) t.match(brokenInvariants(keyring).join('\n'), message)
})

t.test('settings that make a plan unsafe are found', async (t) => {
  const keyring = planRotation(planRotation([], jwk(1), 0, 0), jwk(2), 1000, 900)
  t.same(unsafePlans(keyring, 1000, { jwksMaxAge: 300, skew: 5 }, 900), [])
  t.match(unsafePlans(keyring, 1000, { jwksMaxAge: 898, skew: 5 }, 600), [
    /published 900 s before it signs.*ask for 906 s/,
  ])
  t.same(unsafePlans(keyring, 1900, { jwksMaxAge: 898, skew: 5 }, 600), [], 'it signs: everybody has it')
  t.same(unsafePlans(keyring, 1000, { jwksMaxAge: 300, skew: 60 }, 900), [])
  t.match(unsafePlans(keyring, 1000, { jwksMaxAge: 300, skew: 60 }, 901), [/verifies for 960 s .* ask for 961 s/])
})

t.test(
  'caches may keep the JWKS for the setting, or until just before a key signs that is not in it yet',
  async (t) => {
    const [first, second] = planRotation(planRotation([], jwk(1), 0, 0), jwk(2), 1000, 900)
    if (!first || !second) throw new Error('two entries')
    const timing = { jwksMaxAge: 300, skew: 5 }
    t.equal(jwksMaxAge([first, second], 1000, timing), 300)
    const later = (publish_at: number) => [first, { ...second, publish_at }]
    t.equal(jwksMaxAge(later(1500), 1400, timing), 300)
    t.equal(jwksMaxAge(later(1800), 1650, timing), 245)
    t.equal(jwksMaxAge(later(1898), 1837, timing), 58)
    t.equal(jwksMaxAge(later(1898), 1838, timing), 300, 'it is in the JWKS by now')
  },
)
