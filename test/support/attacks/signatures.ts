import { privateEncrypt } from 'node:crypto'
import { encode, type Mint, respellings } from '../mint.ts'
import { type Attack, shown, type Target } from './corpus.ts'

/**
 * A good token whose text or signature was touched. The text is an identity (caches, logs, deny-lists), so one token
 * has one spelling.
 */
export function signatureAttacks({ mint }: Target): Attack[] {
  return [
    ...stripped(mint),
    ...altered(mint),
    ...respelt(mint),
    ...signedRespelt(mint),
    ...decorated(mint),
    ...swapped(mint),
  ]
}

function stripped(mint: Mint): Attack[] {
  const token = mint.token()
  const [header, payload, signature = ''] = token.split('.')
  const signed = `${header}.${payload}`
  const rests = [1, 2, 3, 4, 10, 170, 338, 339, 340, 341]
  return [
    { name: 'no signature', token: `${signed}.` },
    { name: 'no signature and no dot', token: signed },
    ...rests.map((length) => ({
      name: `the first ${length} of 342 characters`,
      token: `${signed}.${signature.slice(0, length)}`,
    })),
    ...rests.map((length) => ({
      name: `the last ${length} of 342 characters`,
      token: `${signed}.${signature.slice(-length)}`,
    })),
    { name: 'a token cut at 500 characters', token: token.slice(0, 500) },
    { name: 'a token without its first character', token: token.slice(1) },
  ]
}

/** Other bytes, canonical in their spelling. */
function altered(mint: Mint): Attack[] {
  const input = mint.token().split('.').slice(0, 2).join('.')
  const right = mint.rs256(input)
  const modulus = Buffer.from(String(mint.publicKey.export({ format: 'jwk' }).n), 'base64url')
  const flips = [0, 1, 7, 127, 128, 254, 255].flatMap((byte) => [0x01, 0x80].map((mask) => [byte, mask] as const))
  const bytes: [string, Buffer][] = [
    ...flips.map(([byte, mask]): [string, Buffer] => [`byte ${byte} changed by ${mask}`, flipped(right, byte, mask)]),
    ['a zero byte in front', Buffer.concat([Buffer.alloc(1), right])],
    ['a zero byte behind', Buffer.concat([right, Buffer.alloc(1)])],
    ['three bytes behind', Buffer.concat([right, Buffer.from('abc')])],
    ['the signature twice', Buffer.concat([right, right])],
    ['the signature backwards', Buffer.from(right).reverse()],
    ['the modulus', modulus],
    ['zeroes', Buffer.alloc(256)],
    ['ones', Buffer.alloc(256, 0xff)],
    ['the number one', flipped(Buffer.alloc(256), 255, 1)],
    ['one byte', Buffer.alloc(1)],
    ['the hex text of the signature', Buffer.from(right.toString('hex'))],
    ['the base64url text of the signature', Buffer.from(right.toString('base64url'))],
    ['a bare digest, padded and encrypted', privateEncrypt(mint.privateKey, Buffer.alloc(32, 1))],
    ['the signature plus the modulus', plus(right, modulus)],
    ['the signature of another token', mint.rs256(mint.token().split('.').slice(0, 2).join('.'))],
  ]
  return bytes.map(([name, signature]) => ({ name, token: `${input}.${signature.toString('base64url')}` }))
}

/** The right bytes in the fifteen other spellings, and in all that lenient decoders forgive. */
function respelt(mint: Mint): Attack[] {
  const token = tokenWithBoth(mint)
  const dot = token.lastIndexOf('.') + 1
  const signature = token.slice(dot)
  const classic = signature.replaceAll('-', '+').replaceAll('_', '/')
  const middle = (text: string) => signature.slice(0, 171) + text + signature.slice(171)
  const texts: string[] = [
    ...respellings(signature),
    ...['=', '==', '===', '====', '=A', 'A', '!', '.', '.A', ' ', '\t', '\n', '\r\n', '\0', '\u00a0', 'é', '😀'].map(
      (end) => signature + end,
    ),
    ...['=', ' ', '\n', '\0', '\ufeff', '+', '.'].map((start) => start + signature),
    ...['=', ' ', '\n', '\r\n', '\0', '!', '*', '\u200b', '%0a', '.'].map(middle),
    classic,
    `${classic}==`,
    signature.replace('-', '+'),
    signature.replace('_', '/'),
    signature.replaceAll('-', '%2D'),
    signature.replace(/(.{76})/g, '$1\r\n'),
    Buffer.from(signature, 'base64url').toString('hex'),
  ]
  return texts.map((text, row) => ({
    name: `signature spelt ${shown(text.slice(-12))} (${row})`,
    token: token.slice(0, dot) + text,
  }))
}

/**
 * Header and payload in another spelling, and correctly signed so: nothing but the check of the spelling can refuse
 * them.
 */
function signedRespelt(mint: Mint): Attack[] {
  const good = { header: JSON.stringify(mint.header), payload: JSON.stringify(mint.claims) }
  return (['header', 'payload'] as const).flatMap((which) => {
    const texts = [1, 2].map((rest) => encode(padded(good[which], rest)))
    const spelt = texts.flatMap((text) => [
      ...respellings(text),
      ...[
        `${text}=`,
        `${text}==`,
        `${text} `,
        `${text}\n`,
        ` ${text}`,
        `\n${text}`,
        `${text}!`,
        `${text}\0`,
        `\ufeff${text}`,
      ],
      `${text.slice(0, 20)}\n${text.slice(20)}`,
      `${text.slice(0, 20)} ${text.slice(20)}`,
    ])
    return [...spelt, encode(padded(good[which], 0)).concat('A')].map((text, row) => {
      const parts = { header: encode(good.header), payload: encode(good.payload), [which]: text }
      const input = `${parts.header}.${parts.payload}`
      return {
        name: `${which} spelt ${shown(text.slice(-12))} and signed so (${row})`,
        token: `${input}.${mint.rs256(input).toString('base64url')}`,
      }
    })
  })
}

// T is the token.
const FRAMES = [
  'T |\tT|T\t|\nT|"T"|\'T\'|<T>|[T]|T,|,T|T;|T T|T,T|T, Bearer T|Bearer T|T#|?T',
  'T~|T.|.T|..T|T..|\0T|T\0|\ufeffT|T\u200b|token=T|access_token=T|T%00|urn:T|Token T',
].flatMap((row) => row.split('|'))

/** A good token with something around it. */
function decorated(mint: Mint): Attack[] {
  return FRAMES.map((frame) => ({
    name: `a good token in ${shown(frame)}`,
    token: frame.replaceAll(/T(?!o)/g, mint.token()),
  }))
}

/** Parts of good tokens put together anew. */
function swapped(mint: Mint): Attack[] {
  const [header, payload, signature] = mint.token().split('.')
  const [, other, otherSignature] = mint.token({ claims: { sub: 'somebody-else', roles: ['admin'] } }).split('.')
  return [
    { name: "another token's payload", token: `${header}.${other}.${signature}` },
    { name: "another token's signature", token: `${header}.${payload}.${otherSignature}` },
    { name: 'payload and header swapped', token: `${payload}.${header}.${signature}` },
    { name: 'signature first', token: `${signature}.${header}.${payload}` },
    { name: 'header twice', token: `${header}.${header}.${signature}` },
    { name: 'the payload as its own header', token: `${payload}.${payload}.${signature}` },
    { name: 'upper case', token: mint.token().toUpperCase() },
    { name: 'lower case', token: mint.token().toLowerCase() },
    { name: 'standard base64 of the whole', token: Buffer.from(mint.token()).toString('base64') },
    { name: 'base64url of the whole', token: Buffer.from(mint.token()).toString('base64url') },
    { name: 'per cent encoded', token: mint.token().replaceAll('.', '%2E') },
    { name: 'other dots', token: mint.token().replaceAll('.', '\u3002') },
  ]
}

/** JSON with spaces behind it, so that its base64url leaves the wanted number of bytes over a multiple of three. */
function padded(json: string, rest: number): string {
  const text = `${json} `
  return Buffer.byteLength(text) % 3 === rest ? text : padded(text, rest)
}

/** A token whose signature has both characters in which base64 and base64url differ. */
function tokenWithBoth(mint: Mint): string {
  const token = mint.token()
  return /-.*_|_.*-/.test(token.split('.')[2] ?? '') ? token : tokenWithBoth(mint)
}

function flipped(bytes: Buffer, at: number, mask: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ mask
  return copy
}

/** s + n verifies like s where the range check of RFC 8017 section 8.2.2 is missing. */
function plus(a: Buffer, b: Buffer): Buffer {
  const sum = BigInt(`0x${a.toString('hex')}`) + BigInt(`0x${b.toString('hex')}`)
  const hex = sum.toString(16)
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')
}
