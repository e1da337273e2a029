import { inspect } from 'node:util'
import t from 'tap'
import { acceptClaims, REQUIRED_CLAIMS } from '../../src/tokens/claims.ts'
import { good, MAY_BE, NOW, policy, VALUES, verdict } from '../support/claims.ts'

/** For the name of an assertion: in one line, whatever the value holds. */
const shown = (value: unknown) =>
  inspect(value)
    .slice(0, 40)
    .replaceAll(/[^\x20-\x7e]/g, (unit) => `U+${unit.charCodeAt(0).toString(16)}`)

t.test('a required claim that is absent refuses the token, an optional one does not', async (t) => {
  t.equal(verdict(good), 'accepted')
  for (const name of Object.keys(MAY_BE)) {
    const { [name]: _, ...rest } = { ...good } as Record<string, unknown>
    const required = (REQUIRED_CLAIMS as readonly string[]).includes(name)
    t.equal(verdict(rest), required ? 'invalid_token' : 'accepted', name)
    t.equal(verdict({ ...good, [name]: undefined }), required ? 'invalid_token' : 'accepted', `${name}: undefined`)
  }
  t.same([...REQUIRED_CLAIMS].sort(), ['aud', 'client_id', 'exp', 'iat', 'iss', 'jti', 'sub'], 'RFC 9068 section 2.2')
})

t.test('a claim of the wrong type, size or range refuses the token', async (t) => {
  for (const [name, may] of Object.entries(MAY_BE)) {
    for (const value of VALUES.filter((value) => !may(value))) {
      t.equal(verdict({ ...good, [name]: value }), 'invalid_token', `${name}: ${shown(value)}`)
    }
  }
})

t.test('a claim that may be so does not refuse the token', async (t) => {
  for (const [name, may] of Object.entries(MAY_BE)) {
    if (['iat', 'exp', 'nbf'].includes(name)) continue // instants hang together: below
    for (const value of VALUES.filter(may)) {
      t.equal(verdict({ ...good, [name]: value }), 'accepted', `${name}: ${shown(value)}`)
    }
  }
})

t.test('each instant is judged to the second', async (t) => {
  const rows: [name: string, claims: object, expected: string][] = [
    ['exp one second before the end of the skew', { exp: NOW - 4 }, 'accepted'],
    ['exp at the end of the skew', { iat: NOW - 100, exp: NOW - 5 }, 'token_expired'],
    ['exp a second later', { iat: NOW - 100, exp: NOW - 6 }, 'token_expired'],
    ['exp in 1970', { iat: 0, exp: 1 }, 'token_expired'],
    ['iat now', { iat: NOW }, 'accepted'],
    ['iat within the skew', { iat: NOW + 5 }, 'accepted'],
    ['iat a second beyond', { iat: NOW + 6 }, 'invalid_token'],
    ['nbf within the skew', { nbf: NOW + 5 }, 'accepted'],
    ['nbf a second beyond', { nbf: NOW + 6 }, 'invalid_token'],
    ['nbf where Date ends', { nbf: 8.64e12 + 1 }, 'invalid_token'],
    ['nbf of 1970', { nbf: 0 }, 'accepted'],
    ['nbf after exp', { nbf: NOW + 4, exp: NOW + 2 }, 'accepted'],
    ['the longest lifetime', { iat: NOW - 10, exp: NOW + 890 }, 'accepted'],
    ['a second more', { iat: NOW - 10, exp: NOW + 891 }, 'invalid_token'],
    ['the longest lifetime, not begun', { iat: NOW + 5, exp: NOW + 905 }, 'accepted'],
    ['the shortest lifetime', { iat: NOW, exp: NOW + 1 }, 'accepted'],
    ['no lifetime', { iat: NOW, exp: NOW }, 'invalid_token'],
    ['less than none', { iat: NOW, exp: NOW - 1 }, 'invalid_token'],
    ['milliseconds', { exp: NOW * 1000 }, 'invalid_token'],
    ['the largest integer', { exp: Number.MAX_SAFE_INTEGER }, 'invalid_token'],
    ['both the largest', { iat: Number.MAX_SAFE_INTEGER - 1, exp: Number.MAX_SAFE_INTEGER }, 'invalid_token'],
    ['auth_time in the future', { auth_time: NOW + 1000 }, 'accepted'],
    ['auth_time in the last second of the year 9999', { auth_time: 253_402_300_799 }, 'accepted'],
    ['auth_time that no RFC 3339 text can say', { auth_time: 253_402_300_800 }, 'invalid_token'],
  ]
  for (const [name, claims, expected] of rows) t.equal(verdict({ ...good, ...claims }), expected, name)
})

t.test('without skew a token ends at its exp, not a second later (RFC 7519 section 4.1.4)', async (t) => {
  const strict = { skew: 0 }
  t.equal(verdict({ ...good, exp: NOW }, strict), 'token_expired')
  t.equal(verdict({ ...good, exp: NOW + 1 }, strict), 'accepted')
  t.equal(verdict({ ...good, iat: NOW + 1 }, strict), 'invalid_token')
  t.equal(verdict({ ...good, nbf: NOW }, strict), 'accepted')
  t.equal(verdict({ ...good, nbf: NOW + 1 }, strict), 'invalid_token')
})

t.test('only a token that is good but for its age is called expired', async (t) => {
  const old = { ...good, iat: NOW - 700, exp: NOW - 100 }
  t.equal(verdict(old), 'token_expired')
  const faults = [
    { iss: 'x' },
    { aud: 'x' },
    { sub: '' },
    { cnf: {} },
    { jti: 1 },
    { nbf: NOW + 60 },
    { iat: NOW - 1001 },
    { iat: NOW },
  ]
  for (const fault of faults) t.equal(verdict({ ...old, ...fault }), 'invalid_token', JSON.stringify(fault))
})

t.test('the issuer is compared to the letter', async (t) => {
  const others = [
    'HTTPS://SIGNET.EXAMPLE',
    'https://signet.example/',
    'https://signet.example ',
    'https://signet.exampl',
    'http://signet.example',
  ]
  for (const iss of others) t.equal(verdict({ ...good, iss }), 'invalid_token', iss)
})

t.test('one of our audiences in the list is enough, and nothing that only looks like one', async (t) => {
  for (const aud of ['api', 'web', ['api'], ['x', 'web'], ['web', 'api', 'x']])
    t.equal(verdict({ ...good, aud }), 'accepted')
  for (const aud of ['API', 'api ', 'ap', 'api,web', 'api web', ['x'], ['API', 'ap'], '*', '.*', ['apiweb']]) {
    t.equal(verdict({ ...good, aud }), 'invalid_token', JSON.stringify(aud))
  }
})

t.test('a token that is bound to a key is refused whatever cnf holds (RFC 7800)', async (t) => {
  for (const cnf of [{ jkt: 'x' }, {}, null, undefined, '', 0, false, []])
    t.equal(verdict({ ...good, cnf }), 'invalid_token')
})

t.test('a payload that is no object is refused', async (t) => {
  const list = Object.assign([], good)
  for (const payload of [
    null,
    undefined,
    true,
    0,
    1,
    '',
    'x',
    [],
    [good],
    JSON.stringify(good),
    Symbol('x'),
    1n,
    list,
  ]) {
    t.equal(verdict(payload), 'invalid_token')
  }
})

t.test('__proto__ and constructor bring no claims and reach nobody', async (t) => {
  const json = JSON.stringify(good)
  for (const name of ['__proto__', 'constructor', 'prototype'])
    t.equal(verdict(JSON.parse(`{"${name}":${json}}`)), 'invalid_token')
  const beside = JSON.parse(
    `{"__proto__":{"admin":true,"roles":["admin"]},"constructor":{"admin":true},${json.slice(1)}`,
  )
  const claims = acceptClaims(beside, policy, NOW)
  t.same(claims, good)
  t.equal(Object.getPrototypeOf(claims), Object.prototype)
  t.equal((Object.assign({}, claims) as { admin?: boolean }).admin, undefined)
  t.equal(claims.roles, undefined)
})

/** As the package's policy keeps them. */
const kept = (json: string) => acceptClaims(JSON.parse(json), { ...policy, keepOthers: true }, NOW) as object

t.test(
  'claims that are not known are kept where the policy says so, under their names and frozen at every depth',
  async (t) => {
    const others = {
      email: 'x@example.com',
      act: { sub: 'b', list: [{ deep: [1] }, 'x'] },
      0: null,
      '': false,
      'a b': 1.5,
    }
    const claims = kept(JSON.stringify({ ...others, ...good, aud: ['api'] })) as typeof others
    t.strictSame(claims, { ...others, ...good, aud: ['api'] })
    const objects = (value: unknown): object[] =>
      typeof value === 'object' && value !== null ? [value, ...Object.values(value).flatMap(objects)] : []
    t.equal(objects(claims).length, 6)
    t.ok(objects(claims).every(Object.isFrozen))
  },
)

t.test('kept claims bring no prototype, and hide nothing that objects inherit, at any depth', async (t) => {
  const evil = '"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"toString":1,"hasOwnProperty":"x"'
  const claims = kept(`{${evil},"x":{${evil},"y":[{${evil}}]},${JSON.stringify(good).slice(1)}`)
  t.strictSame(claims, { x: { y: [{}] }, ...good })
  for (const object of [claims, (claims as { x: object }).x]) {
    t.equal(Object.getPrototypeOf(object), Object.prototype)
    t.equal((object as { admin?: boolean }).admin, undefined)
  }
  t.equal(({} as { admin?: boolean }).admin, undefined)
})

t.test('claims as deep as a token can be are kept', async (t) => {
  const deep = '['.repeat(1500) + ']'.repeat(1500)
  t.ok(kept(`{"deep":${deep},${JSON.stringify(good).slice(1)}`))
})

t.test('the result is a fresh frozen copy of the named claims and nothing else', async (t) => {
  const optional = {
    nbf: NOW,
    sid: 's',
    auth_time: NOW,
    scope: '',
    roles: ['admin'],
    token_version: 0,
    email_verified: false,
  }
  const named = { ...good, aud: ['api', 'x'], ...optional }
  const claims = acceptClaims({ ...named, email: 'x@example.com', act: {}, toString: 'x' }, policy, NOW)
  t.strictSame(claims, named)
  t.ok([claims, claims.aud, claims.roles].every(Object.isFrozen))
  t.throws(() => Object.assign(claims, { sub: 'root' }), TypeError)
  t.throws(() => (claims.roles as string[]).push('root'), TypeError)
})
