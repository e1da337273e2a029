import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { Mint, Signer } from '../mint.ts'
import { type Attack, shown, type Target } from './corpus.ts'

/**
 * `alg` itself: none, HMAC with a key that everybody has, other algorithms, other keys (RFC 8725 sections 2.1, 3.1,
 * 3.2).
 */
export function algorithmAttacks({ mint }: Target): Attack[] {
  return [...unsigned(mint), ...confused(mint), ...switched(mint), ...misnamed(mint), ...foreign(mint)]
}

/** Every letter case of `none`, with no signature, with the right one, and with one byte. */
function unsigned(mint: Mint): Attack[] {
  const signatures: [string, Signer][] = [
    ['no signature', () => Buffer.alloc(0)],
    ['the right signature', mint.rs256],
    ['one byte of signature', () => Buffer.alloc(1)],
  ]
  const spelled = [...casings('none'), ' none', 'none ', 'none\0', 'nоne']
  return spelled.flatMap((alg) =>
    signatures.map(([how, signer]) => ({
      name: `alg ${shown(alg)} with ${how}`,
      token: mint.token({ header: { alg } }, signer),
    })),
  )
}

/**
 * The public key as an HMAC secret, in every form in which somebody may hold it (CVE-2023-48223, CVE-2026-34950,
 * GHSA-g3jj-5cmm-3hxx).
 */
function confused(mint: Mint): Attack[] {
  const hashes: [string, string][] = [
    ['HS256', 'sha256'],
    ['HS384', 'sha384'],
    ['HS512', 'sha512'],
    ['hs256', 'sha256'],
    ['RS256', 'sha256'],
  ]
  return Object.entries(publicForms(mint)).flatMap(([form, secret]) =>
    hashes.map(([alg, hash]) => ({
      name: `${alg}, an HMAC under ${form}`,
      token: mint.token({ header: { alg } }, (input) => createHmac(hash, secret).update(input).digest()),
    })),
  )
}

function publicForms({ publicKey, kid }: Mint): Record<string, string | Buffer> {
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const der = publicKey.export({ type: 'spki', format: 'der' })
  const pkcs1 = publicKey.export({ type: 'pkcs1', format: 'pem' }).toString()
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }
  return {
    'the PEM': pem,
    'the PEM without its last newline': pem.trimEnd(),
    'the PEM with two newlines': `${pem}\n`,
    'the PEM with CRLF': pem.replaceAll('\n', '\r\n'),
    'the PEM on one line': pem.replaceAll('\n', ''),
    'the PEM with \\n written out': pem.replaceAll('\n', '\\n'),
    'the PEM after a space': ` ${pem}`,
    'the PEM after a newline': `\n${pem}`,
    'the PEM after a tab': `\t${pem}`,
    'the PEM after a zero-width space': `\u200b${pem}`,
    'the PEM after a BOM': `\ufeff${pem}`,
    'the PEM after a comment': `# key\n${pem}`,
    'the body of the PEM': pem.replace(/-----[A-Z ]+-----/g, '').trim(),
    'the PKCS#1 PEM': pkcs1,
    'the PKCS#1 PEM without its last newline': pkcs1.trimEnd(),
    'the DER': der,
    'the PKCS#1 DER': publicKey.export({ type: 'pkcs1', format: 'der' }),
    'the base64 of the DER': der.toString('base64'),
    'the hex of the DER': der.toString('hex'),
    'the JWK text': JSON.stringify(jwk),
    'the indented JWK text': JSON.stringify(jwk, null, 2),
    'the JWKS text': JSON.stringify({ keys: [jwk] }),
    'the thumbprint input': JSON.stringify({ e: jwk.e, kty: jwk.kty, n: jwk.n }),
    'the modulus text': String(jwk.n),
    'the modulus': Buffer.from(String(jwk.n), 'base64url'),
    'the kid': kid,
    'an empty key': '',
    'a zero byte': '\0',
    'the word secret': 'secret',
    'the word undefined': 'undefined',
    'the word null': 'null',
  }
}

/**
 * Other algorithms, each correctly signed: with our own RSA key where that is possible, else with a key the attacker
 * made.
 */
function switched(mint: Mint): Attack[] {
  const ours = mint.privateKey
  const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey
  const ecdsa = (curve: string, hash: string) => signer(hash, ec(curve), { dsaEncoding: 'ieee-p1363' })
  const rows: [alg: string, Signer][] = [
    ['PS256', pss('sha256', ours)],
    ['PS384', pss('sha384', ours)],
    ['PS512', pss('sha512', ours)],
    ['RS384', signer('sha384', ours)],
    ['RS512', signer('sha512', ours)],
    ['RS1', signer('sha1', ours)],
    ['ES256', ecdsa('P-256', 'sha256')],
    ['ES384', ecdsa('P-384', 'sha384')],
    ['ES512', ecdsa('P-521', 'sha512')],
    ['ES256K', ecdsa('secp256k1', 'sha256')],
    ['EdDSA', signer(undefined, generateKeyPairSync('ed25519').privateKey)],
    ['Ed25519', signer(undefined, generateKeyPairSync('ed25519').privateKey)],
    ['ES256', () => Buffer.alloc(64)], // r = s = 0, CVE-2022-21449
  ]
  return rows.flatMap(([alg, signer], row) => [
    { name: `alg ${alg}, signed so (${row})`, token: mint.token({ header: { alg } }, signer) },
    { name: `alg RS256, but signed as ${alg} (${row})`, token: mint.token({}, signer) },
  ])
}

/**
 * The right signature of the right key, under an `alg` that is not exactly RS256 (RFC 8725bis section 3.1: exact
 * case).
 */
function misnamed(mint: Mint): Attack[] {
  const values: unknown[] = [
    ...['rs256', 'Rs256', 'rS256', ' RS256', 'RS256 ', 'RS256\0', 'RS256\n', 'RS', 'RS25', 'RS2560', 'RSA256', ''],
    ...['SHA256withRSA', 'RSASSA-PKCS1-v1_5', 'RS256,none', 'none,RS256', 'dir', 'RSA-OAEP', 'PBES2-HS256+A128KW'],
    ...[
      undefined,
      null,
      true,
      false,
      0,
      256,
      [],
      ['RS256'],
      ['RS256', 'none'],
      {},
      { RS256: true },
      { toString: 'RS256' },
    ],
  ]
  return values.map((alg) => ({
    name: `alg ${shown(alg)}, signed RS256`,
    token: mint.token({ header: { alg } }),
  }))
}

/** RS256 by a key that is not ours, under our kid; and digests wrapped in another way. */
function foreign(mint: Mint): Attack[] {
  const stranger = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).privateKey
  return [
    { name: "a stranger's 2048-bit key", token: mint.token({}, signer('sha256', stranger(2048))) },
    { name: "a stranger's 1024-bit key", token: mint.token({}, signer('sha256', stranger(1024))) },
    { name: 'a SHA-1 signature', token: mint.token({}, signer('sha1', mint.privateKey)) },
    { name: 'a SHA-512 signature', token: mint.token({}, signer('sha512', mint.privateKey)) },
    { name: 'an MD5 signature', token: mint.token({}, signer('md5', mint.privateKey)) },
    { name: 'a signature of nothing', token: mint.token({}, () => mint.rs256('')) },
    {
      name: 'a signature of the payload alone',
      token: mint.token({}, (input) => mint.rs256(input.split('.')[1] ?? '')),
    },
    {
      name: 'a signature over a digest of the input',
      token: mint.token({}, (input) => mint.rs256(mint.rs256(input).toString('hex'))),
    },
  ]
}

function signer(hash: string | undefined, key: KeyObject, options: object = {}): Signer {
  return (input) => sign(hash, Buffer.from(input), { key, ...options })
}

function pss(hash: string, key: KeyObject): Signer {
  const options = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  return signer(hash, key, options)
}

/** Every combination of upper and lower case: 2^n texts. */
function casings(word: string): string[] {
  return [...word].reduce<string[]>(
    (texts, letter) => texts.flatMap((text) => [text + letter.toLowerCase(), text + letter.toUpperCase()]),
    [''],
  )
}
