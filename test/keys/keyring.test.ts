import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { publicJwk, thumbprint, toPem } from '../../src/keys/jwk.ts'
import { firstEntry, type KeyEntry, phase, UNDATED, viewAt } from '../../src/keys/keyring.ts'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const jwk = publicJwk(privateKey)

const entry = (instants: Partial<KeyEntry>): KeyEntry => ({ ...firstEntry(jwk, 100), ...instants })

t.test('the phase of a key follows from its instants and the clock', async (t) => {
  const life = entry({ publish_at: 100, sign_from: 200, sign_until: 300, verify_until: 400 })
  const phases = [100, 199, 200, 299, 300, 399, 400, 9e9].map((now) => phase(life, now))
  t.same(phases, ['next', 'next', 'current', 'current', 'previous', 'previous', 'retired', 'retired'])
  t.equal(phase(entry({ revoked_at: 250 }), 249), 'revoked', 'a clock that is behind does not wait for it')
  t.equal(phase(entry({ revoked_at: 250 }), 250), 'revoked')
})

t.test('a view says who signs, who is published and how long that holds', async (t) => {
  const old = entry({ kid: 'old', sign_until: 400, verify_until: 500 })
  const young = entry({ kid: 'young', publish_at: 260, sign_from: 400 })
  const at = (now: number) => {
    const view = viewAt([old, young], now)
    return [view.current?.kid, view.published.map(({ kid }) => kid).join(), view.validFrom, view.validUntil]
  }
  t.same(at(150), ['old', 'old', 100, 200])
  t.same(at(200), ['old', 'old,young', 200, 400], 'published a minute early, for clocks that are behind')
  t.same(at(400), ['young', 'old,young', 400, 500])
  t.same(at(500), ['young', 'young', 500, Number.POSITIVE_INFINITY])
})

t.test('a standby key is published, and signs when nothing else does', async (t) => {
  const current = entry({ kid: 'current', sign_until: UNDATED, verify_until: UNDATED + 960 })
  const standby = entry({ kid: 'standby', publish_at: 150, sign_from: UNDATED })
  t.same(
    [phase(standby, 150), phase(standby, 9e9), phase(entry({ sign_from: UNDATED, revoked_at: 160 }), 170)],
    ['standby', 'standby', 'revoked'],
  )
  const kids = (view: ReturnType<typeof viewAt>) => [view.current?.kid, ...view.published.map(({ kid }) => kid)]
  t.same(kids(viewAt([current, standby], 9e9)), ['current', 'current', 'standby'])
  t.same(kids(viewAt([{ ...current, revoked_at: 200 }, standby], 300)), ['standby', 'standby'])
})

t.test('what signs is published, also when the clock was set back to before it was made', async (t) => {
  const first = entry({ kid: 'first', publish_at: 5000, sign_from: 5000 })
  const next = entry({ kid: 'next', publish_at: 6000, sign_from: 7000 })
  const { current, published } = viewAt([next, first], 1400)
  t.equal(current?.kid, 'first')
  t.same(
    published.map(({ kid }) => kid),
    ['first'],
  )
})

t.test('only the public members of a key leave, and its kid is the RFC 7638 thumbprint', async (t) => {
  t.same(Object.keys(jwk).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use'])
  t.ok(createPublicKey(toPem(jwk)).equals(createPublicKey(privateKey)))
  // The example of RFC 7638 section 3.1.
  const n =
    '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
  t.equal(thumbprint({ n, e: 'AQAB' }), 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
})

t.test('a key that is not RSA, too short or with exponent 3 is refused', async (t) => {
  const rsa = (modulusLength: number, publicExponent = 65537) =>
    generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey
  t.throws(() => publicJwk(rsa(1024)), { message: /1024 bits/ })
  t.throws(() => publicJwk(rsa(2048, 3)), { message: /exponent/ })
  t.throws(() => publicJwk(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey), { message: /RSA/ })
})
