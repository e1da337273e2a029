import crypto, { webcrypto } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { promisify } from 'node:util'

// PBKDF2 is slow on purpose, and tests open what they have just encrypted: the same passphrase and salt give the same
// key again. So a process that loads this derives each key once and remembers it.

type Parameters = [password: string | Buffer, salt: Buffer, rounds: number, bytes: number, digest: string]

const { pbkdf2 } = crypto
const derive = promisify(pbkdf2)
const derived = new Map<string, Promise<Buffer>>()

Object.assign(crypto, {
  pbkdf2: Object.assign(pbkdf2.bind(crypto), {
    [promisify.custom]: async (...parameters: Parameters) =>
      Buffer.from(await once(parameters, () => derive(...parameters))),
  }),
})
syncBuiltinESMExports()

// jose asks the Web Crypto API, whose keys do not show their bytes: they are noted when they are imported.
const { subtle } = webcrypto
const { importKey, deriveBits } = subtle
const passwords = new WeakMap<object, Buffer>()

Object.assign(subtle, {
  importKey: async (format: string, bytes: Uint8Array, algorithm: string | { name: string }, ...rest: unknown[]) => {
    const key: object = await Reflect.apply(importKey, subtle, [format, bytes, algorithm, ...rest])
    const name = typeof algorithm === 'string' ? algorithm : algorithm.name
    if (name === 'PBKDF2') passwords.set(key, Buffer.from(bytes))
    return key
  },
  deriveBits: async (algorithm: Pbkdf2, key: object, bits: number) => {
    const really = async () => Buffer.from(await Reflect.apply(deriveBits, subtle, [algorithm, key, bits]))
    const password = passwords.get(key)
    if (password === undefined) return Uint8Array.from(await really()).buffer
    const { salt, iterations, hash } = algorithm
    const parameters: Parameters = [password, Buffer.from(salt), iterations, bits / 8, hash]
    return Uint8Array.from(await once(parameters, really)).buffer
  },
})

interface Pbkdf2 {
  readonly salt: Uint8Array
  readonly iterations: number
  readonly hash: string
}

function once([password, salt, ...rest]: Parameters, really: () => Promise<Buffer>): Promise<Buffer> {
  const key = JSON.stringify([Buffer.from(password).toString('hex'), Buffer.from(salt).toString('hex'), ...rest])
  const known = derived.get(key) ?? really()
  derived.set(key, known)
  return known
}
