import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { deflateRawSync, deflateSync } from 'node:zlib'
import { jws, type Mint, Raw, type Signer } from '../mint.ts'
import { type Attack, shown, type Target } from './corpus.ts'

/** Header members that mislead a verifier which obeys them, and headers that are not JSON objects. */
export function headerAttacks({ mint, canary }: Target): Attack[] {
  return [...keyBringing(mint, canary), ...extended(mint), ...otherKinds(mint), ...notObjects(mint), ...twice(mint)]
}

/** The attacker's key, in the header or behind an address in it (CVE-2018-0114; RFC 8725 section 3.10). */
function keyBringing(mint: Mint, canary: string): Attack[] {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = publicKey.export({ format: 'jwk' })
  const der = publicKey.export({ type: 'spki', format: 'der' })
  const members: Record<string, unknown>[] = [
    { jwk },
    { jwk: { ...jwk, kid: mint.kid, alg: 'RS256', use: 'sig' } },
    { jwk: JSON.stringify(jwk) },
    { jwk: null },
    { jwk: {} },
    { jwk: { kty: 'oct', k: '' } },
    { jwks: { keys: [jwk] } },
    { jku: canary },
    { jku: `${mint.issuer}/.well-known/jwks.json` },
    { jku: `${canary}#${mint.issuer}/.well-known/jwks.json` },
    { jku: `${mint.issuer}@${canary.replace('http://', '')}` },
    { jku: null },
    { x5u: canary },
    { x5u: 'file:///dev/null' },
    { x5c: [der.toString('base64')] },
    { x5c: [] },
    { x5t: createHash('sha1').update(der).digest('base64url') },
    { 'x5t#S256': createHash('sha256').update(der).digest('base64url') },
    { iss: canary },
  ]
  const stranger: Signer = (input) => sign('sha256', Buffer.from(input), privateKey as KeyObject)
  return members.flatMap((member) => [
    { name: `header ${shown(member)}, signed by its key`, token: mint.token({ header: member }, stranger) },
    { name: `header ${shown(member)}, no kid`, token: mint.token({ header: { kid: undefined, ...member } }, stranger) },
    { name: `header ${shown(member)}, signed by ours`, token: mint.token({ header: member }) },
  ])
}

const CRITICAL: readonly unknown[] = [
  ...[[], ['b64'], ['exp'], ['alg'], ['kid'], ['crit'], [''], [null], [1], [['b64']], ['b64', 'b64'], ['urn:x']],
  ...[null, '', 0, false, true, 1, 'exp', {}, { b64: true }],
]

const EXTENSIONS: readonly Record<string, unknown>[] = [
  ...CRITICAL.map((crit) => ({ crit })),
  { crit: ['b64'], b64: false },
  { crit: ['b64'], b64: true },
  { crit: ['urn:x'], 'urn:x': true },
  { crit: ['toString'] },
  ...[false, true, null, 0, ''].map((b64) => ({ b64 })),
  ...['DEF', 'none', null].map((zip) => ({ zip })),
  { cty: 'JWT' },
  { enc: 'A256GCM' },
  { alg: 'RS256', enc: null },
  { p2c: 2_147_483_647, p2s: 'AAAA' },
  { epk: {} },
  { ppt: 'shaken' },
  { nonce: 'x' },
  { url: 'https://example.com' },
  { exp: 0 },
  { ALG: 'RS256' },
  { Alg: 'none' },
  { 'alg ': 'none' },
  { '': '' },
  { constructor: { name: 'x' } },
  { toString: 'x' },
]

/**
 * Members that change what the token means: all are correctly signed, and a verifier that skips them reads another
 * token than was meant.
 */
function extended(mint: Mint): Attack[] {
  const claims = Buffer.from(JSON.stringify(mint.claims))
  return [
    ...EXTENSIONS.map((member) => ({ name: `header ${shown(member)}`, token: mint.token({ header: member }) })),
    { name: 'a __proto__ member that brings alg', token: jws(protoHeader(mint), mint.claims, mint.rs256) },
    { name: 'a __proto__ member beside the rest', token: mint.token({ header: { ['__proto__']: {} } }) },
    { name: 'zip DEF, deflated', token: mint.token({ header: { zip: 'DEF' }, claims: deflateRawSync(claims) }) },
    { name: 'deflated without zip', token: mint.token({ claims: deflateSync(claims) }) },
    { name: 'b64 false, payload as it is', token: unencoded(mint, 'payload') },
    { name: 'b64 false, payload with dots', token: unencoded(mint, 'a.b') },
  ]
}

const OTHER_TYPES: readonly unknown[] = [
  ...'| |JWT|jwt|JOSE|JOSE+JSON|at|at+|+jwt|at-jwt|at jwt|at%2Bjwt|at+jwt2|xat+jwt|ａt+jwt'.split('|'),
  ...'at+jwt | at+jwt|at+jwt\0|at+jwt\n|at+jwt;v=1|application/at+jwt; charset=utf-8|at+jws|at+jwt,JWT'.split('|'),
  ...'application/jwt|application/application/at+jwt|text/at+jwt|/at+jwt|application//at+jwt|application/'.split('|'),
  ...'rt+jwt|refresh+jwt|id+jwt|logout+jwt|secevent+jwt|dpop+jwt|revocations+jwt|statuslist+jwt|vc+sd-jwt'.split('|'),
  ...'token-introspection+jwt|oauth-authz-req+jwt|client-authentication+jwt|kb+jwt'.split('|'),
  ...[undefined, null, true, 0, 1, [], ['at+jwt'], {}, { typ: 'at+jwt' }, ['application/at+jwt', 'JWT']],
]

/**
 * All kinds of JWT are signed by somebody's good key: `typ` keeps them apart (RFC 8725 section 3.11, RFC 9068 section
 * 4).
 */
function otherKinds(mint: Mint): Attack[] {
  return OTHER_TYPES.map((typ) => ({ name: `typ ${shown(typ)}`, token: mint.token({ header: { typ } }) }))
}

function notObjects(mint: Mint): Attack[] {
  const good = JSON.stringify(mint.header)
  const inKid = (hex: string) =>
    Buffer.concat([Buffer.from(good.slice(0, -2)), Buffer.from(hex, 'hex'), Buffer.from('"}')])
  // G is the good header.
  const texts = 'null|true|0|1|""|"RS256"|[]|[G]|{}|{|}|undefined| |G,|GG|G\0|Gx|/**/G|\ufeffG|)]}\',\nG'.split('|')
  const headers: (string | Buffer)[] = [
    ...texts.map((text) => (text.includes('"') ? text : text.replaceAll('G', good))),
    ...[JSON.stringify(good), good.replaceAll('"', "'"), `${good.slice(0, -1)},}`, good.slice(0, -1)],
    ...[good.replace('"alg"', 'alg'), good.replace('"RS256"', 'NaN')],
    ...['['.repeat(1500), `${'[1,'.repeat(400)}1${']'.repeat(400)}`, `{"a":${'{"a":'.repeat(300)}1${'}'.repeat(301)}`],
    Buffer.from(good, 'utf16le'),
    Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(good, 'utf16le').swap16()]),
    ...['ff', 'c080', 'eda080'].map(inKid),
    Buffer.concat([Buffer.from('{"x":"'), Buffer.from([0x80]), Buffer.from(`",${good.slice(1)}`)]),
    Buffer.from([0x80]),
  ]
  return headers.map((text, row) => ({ name: `header ${shown(text)} (${row})`, token: mint.token({ header: text }) }))
}

/**
 * A member twice: JSON.parse keeps the last, another parser the first (RFC 7515 section 4), so the last one has to
 * count everywhere.
 */
function twice(mint: Mint): Attack[] {
  const good = JSON.stringify(mint.header).slice(0, -1)
  const seconds = [
    '"alg":"none"',
    '"alg":"HS256"',
    '"kid":"other"',
    '"typ":"JWT"',
    '"\\u0061lg":"none"',
    '"alg":null',
    '"kid":[]',
  ]
  return seconds.map((second) => ({
    name: `header with a second ${second}`,
    token: mint.token({ header: `${good},${second}}` }),
  }))
}

function protoHeader({ header }: Mint): Raw {
  return new Raw(`{"__proto__":${JSON.stringify(header)}}`)
}

/** RFC 7797: the payload stands in the token as it is, and is signed so. */
function unencoded(mint: Mint, payload: string): string {
  const header = Buffer.from(JSON.stringify({ ...mint.header, b64: false, crit: ['b64'] })).toString('base64url')
  return `${header}.${payload}.${mint.rs256(`${header}.${payload}`).toString('base64url')}`
}
