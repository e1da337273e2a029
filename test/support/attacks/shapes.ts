import { createCipheriv, publicEncrypt, randomBytes } from 'node:crypto'
import { encode, jws, type Mint, Raw } from '../mint.ts'
import { type Attack, shown, type Target } from './corpus.ts'

/** Texts that are no compact JWS of a JSON object, or one that nobody should have to read to its end. */
export function shapeAttacks({ mint }: Target): Attack[] {
  return [
    ...fragments(mint),
    ...otherSerialisations(mint),
    ...otherCredentials(),
    ...payloads(mint),
    ...oversized(mint),
  ]
}

function fragments(mint: Mint): Attack[] {
  const [header = '', payload = '', signature = ''] = mint.token().split('.')
  const parts: string[][] = [
    [header],
    [payload],
    [signature],
    [header, signature],
    [payload, signature],
    [header, payload, signature, signature],
    [header, payload, signature, ''],
    ['', header, payload, signature],
    [header, payload, signature, payload, signature],
    [header, '', signature],
    ['', payload, signature],
    [header, '', ''],
    ['', '', signature],
    [header, '', payload, signature],
  ]
  const texts = '.|..|...|....|a|a.|.a|a.b|a.b.c|A.A.A|AA.AA.AA|=.=.=|-._.-|\0|\n|0|null'.split('|')
  return [...parts.map((list) => list.join('.')), ...texts].map((token, row) => ({
    name: `${shown(token)} (${row})`,
    token,
  }))
}

/**
 * RFC 7515 section 7.2, RFC 7516, RFC 7797, SD-JWT: none of them is an access token here (RFC 8725bis section 3.14).
 */
function otherSerialisations(mint: Mint): Attack[] {
  const [header = '', payload = '', signature = ''] = mint.token().split('.')
  const flattened = JSON.stringify({ protected: header, payload, signature })
  const general = JSON.stringify({ payload, signatures: [{ protected: header, signature }] })
  const unprotected = JSON.stringify({ header: mint.header, payload, signature })
  const nested = jws({ ...mint.header, cty: 'JWT' }, mint.token(), mint.rs256)
  return [
    ...[flattened, general, unprotected].flatMap((json) => [
      { name: `JSON ${shown(json.slice(0, 24))}`, token: json },
      { name: `base64url of JSON ${shown(json.slice(0, 24))}`, token: encode(json) },
    ]),
    { name: 'a JWE for our key (RSA-OAEP)', token: jwe(mint, 'RSA-OAEP-256') },
    { name: 'a JWE with the header of a JWS', token: jwe(mint, 'RS256') },
    {
      name: 'a JWE with a direct key',
      token: `${encode({ ...mint.header, alg: 'dir', enc: 'A256GCM' })}..AAAA.AAAA.AAAA`,
    },
    { name: 'a JWT inside a JWT', token: nested },
    { name: 'a JWT inside a JWT without cty', token: jws(mint.header, mint.token(), mint.rs256) },
    { name: 'an SD-JWT', token: `${mint.token()}~WyJhIiwiYiIsImMiXQ~` },
    { name: 'a detached payload', token: `${header}..${mint.rs256(`${header}.${payload}`).toString('base64url')}` },
    { name: 'an empty payload, signed', token: `${header}..${mint.rs256(`${header}.`).toString('base64url')}` },
    { name: 'an empty header, signed', token: `.${payload}.${mint.rs256(`.${payload}`).toString('base64url')}` },
  ]
}

const OTHER_CREDENTIALS = [
  'srt_AAAAAAAAAAAAAAAAAAAAAA.AAAA.AAAA|srt_x|ghp_0123456789abcdef|v4.public.AAAA.AAAA|v2.local.AAAA',
  'user:password|dXNlcjpwYXNzd29yZA==|undefined|[object Object]|null.null.null|true|-1|NaN|{}|[]',
  "../../etc/passwd|' OR 1=1 --|<script>alert(1)</script>|jndi:ldap://x|%00|\u202eabc|😀|é|ａ.ｂ.ｃ",
  'https://example.com/token|urn:uuid:00000000-0000-0000-0000-000000000000|Bearer|Bearer Bearer|error="invalid_token"',
].flatMap((row) => row.split('|'))

/** Other credentials that clients send by mistake, and texts that scanners send. */
function otherCredentials(): Attack[] {
  return OTHER_CREDENTIALS.map((token) => ({ name: shown(token), token }))
}

/** Correctly signed bytes that are no JSON object in UTF-8 (RFC 7519 section 7.2, RFC 8725 section 3.7). */
function payloads(mint: Mint): Attack[] {
  const good = JSON.stringify(mint.claims)
  const parts: unknown[] = [
    ...['', 'null', 'true', '0', '""', '[]', `[${good}]`, JSON.stringify(good), '{', '}', 'undefined', 'x', ' ', '\0'],
    ...[
      `${good},`,
      `${good}x`,
      `${good}${good}`,
      `${good}\0`,
      good.replaceAll('"', "'"),
      good.slice(0, -1),
      `${good.slice(0, -1)},}`,
    ],
    ...[
      `\ufeff${good}`,
      good.replace(/"iat":\d+/, '"iat":NaN'),
      good.replace(/"iat":(\d+)/, '"iat":0$1'),
      `//\n${good}`,
    ],
    ...['['.repeat(2000), `${'['.repeat(1000)}${']'.repeat(1000)}`, '{"a":'.repeat(400)],
    Buffer.from(good, 'utf16le'),
  ]
  return [
    ...parts.map((part, row) => ({
      name: `payload ${shown(part)} (${row})`,
      token: jws(mint.header, part, mint.rs256),
    })),
    ...notUtf8(mint),
  ]
}

/**
 * Lenient decoders turn all of these into U+FFFD, and two subjects into one. The last two are control characters,
 * which JSON escapes.
 */
function notUtf8(mint: Mint): Attack[] {
  const [before = '', after = ''] = JSON.stringify(mint.claims).split('minted-subject')
  const bytes = ['ff', '80', 'c3', 'c0af', 'e080af', 'eda080', 'f4908080', 'e920', '00', '0a']
  return bytes.map((hex) => {
    const payload = Buffer.concat([Buffer.from(before), Buffer.from(hex, 'hex'), Buffer.from(after)])
    return { name: `sub of the byte(s) ${hex}`, token: jws(mint.header, payload, mint.rs256) }
  })
}

/** Good tokens that are too long. A verifier refuses them before it decodes (RFC 8725bis). */
function oversized(mint: Mint): Attack[] {
  const members = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`claim_${i}`, i]))
  const deep = (depth: number) => new Raw(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`)
  return [
    ...[3500, 8000, 14_000, 100_000, 1_000_000].map((size) => ({
      name: `a claim of ${size} characters`,
      token: mint.token({ claims: { note: 'x'.repeat(size) } }),
    })),
    { name: '500 claims', token: mint.token({ claims: members(500) }) },
    { name: '50000 claims', token: mint.token({ claims: members(50_000) }) },
    { name: 'claims 1000 levels deep', token: mint.token({ claims: { a: deep(1000) } }) },
    { name: 'claims 100000 levels deep', token: mint.token({ claims: { a: deep(100_000) } }) },
    { name: '20000 roles', token: mint.token({ claims: { roles: Array(20_000).fill('x') } }) },
    { name: 'a number of 5000 digits', token: mint.token({ claims: { exp: new Raw('9'.repeat(5000)) } }) },
    {
      name: 'a header of 20000 spaces',
      token: mint.token({ header: `${JSON.stringify(mint.header)}${' '.repeat(20_000)}` }),
    },
    ...['.', 'A', 'a.', '=', ' ', 'é'].map((text) => ({
      name: `${shown(text)} 100000 times`,
      token: text.repeat(100_000),
    })),
    { name: 'a signature of 100000 characters', token: `${mint.token()}${'A'.repeat(100_000)}` },
  ]
}

/** A JWE in compact form that our own key could open. */
function jwe({ publicKey, header, claims }: Mint, alg: string): string {
  const protectedHeader = encode({ ...header, alg, enc: 'A256GCM' })
  const [key, iv] = [randomBytes(32), randomBytes(12)]
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(protectedHeader))
  const text = Buffer.concat([cipher.update(JSON.stringify(claims)), cipher.final()])
  const wrapped = publicEncrypt({ key: publicKey, oaepHash: 'sha256' }, key)
  return [protectedHeader, encode(wrapped), encode(iv), encode(text), encode(cipher.getAuthTag())].join('.')
}
