import { type Mint, Raw } from '../mint.ts'

/**
 * Good tokens that look unusual: a verifier that refuses one of them is stricter than its standards, and breaks
 * clients.
 */
export function accepted(mint: Mint): { name: string; token: string }[] {
  const { now, audience } = mint
  const types = ['at+jwt', 'AT+JWT', 'At+Jwt', 'application/at+jwt', 'Application/AT+JWT', 'APPLICATION/at+jwt']
  const claims: [string, object][] = [
    ['nothing unusual', {}],
    ['our audience in a list', { aud: [audience] }],
    ['our audience among others', { aud: ['https://other.example', audience] }],
    ['the longest lifetime', { iat: now, exp: now + 900 }],
    ['nbf that is past', { nbf: now - 10 }],
    ['every optional claim', { sid: 's', auth_time: now, scope: 'a b', roles: ['admin'], token_version: 0 }],
    ['empty scope and no roles', { scope: '', roles: [] }],
    ['claims that nobody here knows', { email_verified: true, ext: { a: [1, null, { b: 2 }] }, act: null }],
    ['a __proto__ claim', { ['__proto__']: { sub: 'root', roles: ['admin'] } }],
    ['a constructor claim', { constructor: { prototype: { admin: true } } }],
    ['a sub in other scripts', { sub: 'Zoë Ωmega 😀' }],
    ['a sub of 255 characters', { sub: 'x'.repeat(255) }],
    ['times written with an exponent', { exp: new Raw(`${now + 600}e0`), iat: new Raw(`${now}.0`) }],
  ]
  return [
    ...types.map((typ) => ({ name: `typ ${typ}`, token: mint.token({ header: { typ } }) })),
    ...claims.map(([name, change]) => ({ name, token: mint.token({ claims: change }) })),
    {
      name: 'header members in another order',
      token: mint.token({ header: JSON.stringify({ typ: 'at+jwt', kid: mint.kid, alg: 'RS256' }) }),
    },
    { name: 'a header with white space', token: mint.token({ header: JSON.stringify(mint.header, null, 2) }) },
  ]
}
