import type { Refusal } from '../../src/errors/refusals.ts'
import { jws, type Mint } from './mint.ts'

export type RefusedToken = readonly [refusal: Refusal, what: string, token: string]

/**
 * Tokens that are refused for what stands in them, with the word for it: the same in the server and in the package.
 * What depends on more than the token (a session, a key, a demand) is left to the tests.
 */
export function refusedTokens(mint: Mint): readonly RefusedToken[] {
  const { now } = mint
  const good = mint.token()
  const [header, payload] = good.split('.')
  const claims = (change: object) => mint.token({ claims: change })
  const forged = () => Buffer.alloc(256, 1)
  return [
    ['malformed', 'no token at all', 'hello'],
    ['malformed', 'four parts', `${good}.x`],
    ['malformed', 'no signature', `${header}.${payload}.`],
    ['malformed', 'padding', `${good}=`],
    ['malformed', 'too long', claims({ sub: 'x'.repeat(3500) })],
    ['malformed', 'a header that is no JSON', jws('{', mint.claims, mint.rs256)],
    ['malformed', 'a header that is a list', jws([], mint.claims, mint.rs256)],
    ['malformed', 'a key in the header', mint.token({ header: { jwk: {} } })],
    ['malformed', 'no kid', mint.token({ header: { kid: undefined } })],
    ['malformed', 'a payload that is no JSON', jws(mint.header, '{', mint.rs256)],
    ['malformed', 'a payload that is not UTF-8', jws(mint.header, Buffer.from([0x7b, 0xff, 0x7d]), mint.rs256)],
    ['alg', 'no algorithm', mint.token({ header: { alg: 'none' } })],
    ['alg', 'another algorithm', mint.token({ header: { alg: 'PS256' } })],
    ['typ', 'another type', mint.token({ header: { typ: 'JWT' } })],
    ['typ', 'no type', mint.token({ header: { typ: undefined } })],
    ['kid_unknown', 'another key', mint.token({ header: { kid: 'nobody' } })],
    ['kid_unknown', 'the name of an inherited member', mint.token({ header: { kid: 'constructor' } })],
    ['signature', 'a forged signature', mint.token({}, forged)],
    ['claim', 'no sub', claims({ sub: undefined })],
    ['claim', 'a sub that is a number', claims({ sub: 7 })],
    ['claim', 'an iss that is a number', claims({ iss: 7 })],
    ['claim', 'an aud that is empty', claims({ aud: [] })],
    ['claim', 'an exp that is text', claims({ exp: '9999999999' })],
    ['claim', 'a payload that is a list', jws(mint.header, [], mint.rs256)],
    ['claim', 'a payload that is null', jws(mint.header, 'null', mint.rs256)],
    ['issuer', 'another issuer', claims({ iss: `${mint.issuer}/` })],
    ['audience', 'another audience', claims({ aud: 'somebody else' })],
    ['audience', 'other audiences', claims({ aud: ['one', 'two'] })],
    ['proof_of_possession', 'bound to a key', claims({ cnf: { jkt: 'x' } })],
    ['not_yet_valid', 'issued tomorrow', claims({ iat: now + 86_400, exp: now + 87_000 })],
    ['not_yet_valid', 'good from tomorrow', claims({ nbf: now + 86_400 })],
    ['lifetime', 'good for an hour', claims({ iat: now, exp: now + 3600 })],
    ['lifetime', 'over before it began', claims({ iat: now, exp: now })],
    ['expired', 'from yesterday', claims({ iat: now - 86_400, exp: now - 85_800 })],
    ['alg', 'another algorithm and type', mint.token({ header: { alg: 'PS256', typ: 'JWT' } })],
    ['typ', 'another type and key', mint.token({ header: { typ: 'JWT', kid: 'nobody' } })],
    ['kid_unknown', 'another key, and expired', mint.token({ header: { kid: 'nobody' }, claims: { exp: 1 } })],
    ['signature', 'forged, and of another issuer', mint.token({ claims: { iss: 'https://other.example' } }, forged)],
    ['issuer', 'another issuer and audience', claims({ iss: 'https://other.example', aud: 'x' })],
    ['audience', 'another audience, and expired', claims({ aud: 'x', iat: 1, exp: 2 })],
    ['lifetime', 'too long, and expired', claims({ iat: 1, exp: 100_000 })],
  ]
}
