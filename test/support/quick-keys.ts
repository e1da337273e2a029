import crypto, { createHash, createPrivateKey, createPublicKey, generatePrimeSync, type KeyObject } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { promisify } from 'node:util'

// Tests need some hundred signing keys, and making one takes longer than most of them. The search for primes is what
// takes that long. So the keys of a process share primes: every pair of them makes another key, and twelve primes make
// sixty-six. Each is a sound RSA key in everything that can be asked of it alone. Keys of other sizes, and those of
// processes that do not load this, are made as ever.
//
// The first primes are known: each stands a short way above a hash. The process that runs the scripts has others than
// the tests, for it makes keys for the folders of theirs.

const EXPONENT = 65_537n
const OWNER = process.argv[1]?.endsWith('script-host.ts') ? 'scripts' : 'tests'
const DISTANCES = {
  tests: [1760, 1354, 2414, 830, 188, 198, 138, 416, 460, 50, 14, 14, 82, 2344, 1644, 532, 218, 572, 1622, 2432],
  scripts: [1690, 836, 354, 432, 404, 1586, 1032, 322, 136, 2, 104, 1160],
}
const primes: bigint[] = DISTANCES[OWNER].map((distance, index) => hashOf(index) + BigInt(distance))
/** The pair that is next: the first index is always below the second. */
let next: [number, number] = [0, 1]

const { generateKeyPair, generateKeyPairSync } = crypto
const make = promisify(generateKeyPair)
const makeSync = generateKeyPairSync as (type: string, options?: object) => ReturnType<typeof quickPair>

Object.assign(crypto, {
  generateKeyPair: Object.assign(generateKeyPair.bind(crypto), {
    [promisify.custom]: async (type: 'rsa', options: Options) =>
      isUsual(type, options) ? quickPair() : make(type, options),
  }),
  generateKeyPairSync: (type: string, options?: Options) =>
    isUsual(type, options) ? quickPair() : makeSync(type, options),
})
syncBuiltinESMExports()

interface Options {
  readonly modulusLength: number
  readonly publicExponent?: number
}

function isUsual(type: string, options: Options | undefined): boolean {
  const { modulusLength, publicExponent = Number(EXPONENT), ...others } = options ?? {}
  const isPlain = Object.keys(others).length === 0
  return type === 'rsa' && modulusLength === 2048 && publicExponent === Number(EXPONENT) && isPlain
}

function quickPair(): { privateKey: KeyObject; publicKey: KeyObject } {
  const privateKey = quickKey()
  return { privateKey, publicKey: createPublicKey(privateKey) }
}

function quickKey(): KeyObject {
  const [first, second] = next
  next = first + 1 < second ? [first + 1, second] : [0, second + 1]
  return keyOf(prime(first), prime(second))
}

function prime(index: number): bigint {
  while (primes.length <= index) {
    const found = generatePrimeSync(1024, { bigint: true })
    // A product of two has 2,048 bits only when both are large, and the exponent needs an inverse.
    if (found >> 1022n === 3n && found % EXPONENT !== 1n) primes.push(found)
  }
  return primes[index] as bigint
}

/** An odd number of 1,024 bits, the first two of them set. */
function hashOf(index: number): bigint {
  const part = (n: number) => createHash('sha256').update(`${OWNER} ${index} ${n}`).digest('hex')
  return BigInt(`0x${[0, 1, 2, 3].map(part).join('')}`) | (3n << 1022n) | 1n
}

function keyOf(one: bigint, other: bigint): KeyObject {
  const [p, q] = one > other ? [one, other] : [other, one]
  const d = inverse(EXPONENT, (p - 1n) * (q - 1n))
  const parts = { n: p * q, e: EXPONENT, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) }
  const encoded = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, toPart(part)]))
  return createPrivateKey({ key: { kty: 'RSA', ...encoded }, format: 'jwk' })
}

/** Euclid's algorithm, extended. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value, modulus, 1n, 0n]
  while (b > 0n) {
    const quotient = a / b
    ;[a, b, x, y] = [b, a - quotient * b, y, x - quotient * y]
  }
  return ((x % modulus) + modulus) % modulus
}

function toPart(value: bigint): string {
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url')
}
