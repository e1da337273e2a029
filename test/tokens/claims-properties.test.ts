import fc from 'fast-check'
import t from 'tap'
import { acceptClaims, REQUIRED_CLAIMS } from '../../src/tokens/claims.ts'
import { count, good, MAY_BE, NOW, policy, VALUES, verdict } from '../support/claims.ts'

const names = fc.constantFrom(...Object.keys(MAY_BE))

t.test('any value in the place of any claim is either accepted as the oracle says or refused with a code', async () => {
  const anything = fc.oneof(
    fc.jsonValue(),
    fc.anything({ withBigInt: true, withDate: true }),
    fc.constantFrom(...VALUES),
  )
  fc.assert(
    fc.property(names, anything, (name, value) => {
      const found = verdict({ ...good, [name]: value })
      if (['iat', 'exp', 'nbf'].includes(name) && count(value)) return true // judged by the next property
      const absent = value === undefined && !(REQUIRED_CLAIMS as readonly string[]).includes(name)
      return found === (absent || MAY_BE[name]?.(value) === true ? 'accepted' : 'invalid_token')
    }),
    { numRuns: 3000 },
  )
})

t.test('any instants are accepted exactly when they hang together', async () => {
  const near = fc.integer({ min: -1200, max: 1200 }).map((offset) => NOW + offset)
  const instant = fc.oneof(
    near,
    fc.integer({ min: -8, max: 8 }).map((offset) => NOW + offset),
    fc.maxSafeNat(),
  )
  const options = { iat: instant, exp: instant, nbf: fc.option(instant), skew: fc.integer({ min: 0, max: 60 }) }
  fc.assert(
    fc.property(fc.record(options), ({ iat, exp, nbf, skew }) => {
      const coherent = iat - NOW <= skew && (nbf ?? 0) - NOW <= skew && exp - iat >= 1 && exp - iat <= 900
      const expected = !coherent ? 'invalid_token' : NOW < exp + skew ? 'accepted' : 'token_expired'
      return verdict({ ...good, iat, exp, ...(nbf !== null && { nbf }) }, { skew }) === expected
    }),
    { numRuns: 3000 },
  )
})

t.test('any object at all gives named claims or a code, and never another error', async () => {
  const members = fc.dictionary(fc.oneof(names, fc.string()), fc.jsonValue())
  fc.assert(
    fc.property(members, fc.boolean(), (extra, onTop) => {
      const payload = onTop ? { ...good, ...extra } : { ...extra, ...good }
      if (verdict(payload) !== 'accepted') return true // refused with a code, or `verdict` throws
      const claims = acceptClaims(payload, policy, NOW)
      return Object.isFrozen(claims) && Object.keys(claims).every((name) => Object.hasOwn(MAY_BE, name))
    }),
    { numRuns: 1000 },
  )
})
