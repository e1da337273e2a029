import { createPrivateKey, type JsonWebKey, type KeyObject, randomBytes } from 'node:crypto'

// RSA keys that no program makes: with wrong parts, or of a size that takes minutes.

const toBytes = (value: string | undefined) => Buffer.from(value ?? '', 'base64url')

/** RSAPrivateKey of RFC 8017 appendix A.1.2: a JWK would not take parts that are wrong. */
export function keyOfParts(parts: JsonWebKey): KeyObject {
  const integer = (bytes: Buffer) => tlv(0x02, (bytes[0] ?? 0) > 127 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes)
  const names = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const
  const numbers = names.map((name) => integer(toBytes(parts[name])))
  return createPrivateKey({
    key: tlv(0x30, integer(Buffer.alloc(1)), ...numbers),
    format: 'der',
    type: 'pkcs1',
  })
}

function tlv(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const size = content.length < 128 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

/** A number of so many bits, odd. */
const odd = (bits: number) => {
  const bytes = randomBytes(bits / 8)
  bytes[0] = (bytes[0] ?? 0) | 0xc0
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 1
  return bytes
}
const toPart = (value: bigint) => Buffer.from(value.toString(16).padStart(2, '0'), 'hex').toString('base64url')
/** What looks like a key of so many bits. Real ones of this size take minutes to make. */
export const keyOfSize = (bits: number) => {
  const [p, q] = [odd(bits / 2), odd(bits / 2)]
  const n = BigInt(`0x${p.toString('hex')}`) * BigInt(`0x${q.toString('hex')}`)
  const parts = { d: odd(bits), p, q, dp: p, dq: q, qi: p }
  const encoded = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part.toString('base64url')]))
  return keyOfParts({ kty: 'RSA', e: 'AQAB', n: toPart(n), ...encoded })
}
