import { createPublicKey, type KeyObject, sign } from 'node:crypto'
import { randomId } from '../../src/ids.ts'
import { readPrivateKey } from '../../src/keys/private-keys.ts'
import type { TestServer } from './app.ts'

/** Signature bytes over the first two parts of a token. */
export type Signer = (signingInput: string) => Buffer

/** Raw JSON text as it is, for values that JSON.stringify can't write: 1e999, a member twice, __proto__. */
export class Raw {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** What is needed to make test tokens for a verifier: its signing key, and the claims it expects. */
export interface Mint {
  readonly kid: string
  readonly issuer: string
  readonly audience: string
  /** Epoch seconds. */
  readonly now: number
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** The header of a good token. */
  readonly header: Readonly<Record<string, unknown>>
  /** The claims of a good token; every read has a `jti` of its own. */
  readonly claims: Readonly<Record<string, unknown>>
  readonly rs256: Signer
  /**
   * A good token, but for the given members: undefined leaves one out, and anything but a plain object stands for the
   * whole part.
   */
  token(change?: { header?: unknown; claims?: unknown }, signer?: Signer): string
}

export function createMint(target: Pick<Mint, 'kid' | 'issuer' | 'audience' | 'now' | 'privateKey'>): Mint {
  const { kid, issuer, audience, now, privateKey } = target
  const header = { alg: 'RS256', typ: 'at+jwt', kid }
  const rs256: Signer = (input) => sign('sha256', Buffer.from(input), privateKey)
  const mint: Mint = {
    ...target,
    publicKey: createPublicKey(privateKey),
    header,
    get claims() {
      const times = { iat: now, exp: now + 600 }
      return { iss: issuer, aud: audience, sub: 'minted-subject', client_id: 'signet', ...times, jti: randomId() }
    },
    rs256,
    token: (change = {}, signer = rs256) => jws(part(header, change.header), part(mint.claims, change.claims), signer),
  }
  return mint
}

/** A mint that signs with the very key of a running test server. */
export async function serverMint({ keyring, folder, config }: TestServer, now: number): Promise<Mint> {
  const { kid } = keyring.signingKey()
  const privateKey = await readPrivateKey(folder, kid)
  return createMint({ kid, issuer: config.ISSUER, audience: config.AUDIENCE[0], now, privateKey })
}

/** A compact JWS over any bytes: `Buffer` as it is, text and `Raw` as UTF-8, everything else as JSON. */
export function jws(header: unknown, payload: unknown, signer: Signer): string {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${signer(input).toString('base64url')}`
}

export function encode(value: unknown): string {
  if (Buffer.isBuffer(value)) return value.toString('base64url')
  return Buffer.from(typeof value === 'string' ? value : stringify(value)).toString('base64url')
}

/** JSON in which each `Raw` member stands as its own text. */
export function stringify(value: unknown): string {
  if (value instanceof Raw) return value.text
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value)
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${stringify(member)}`).join()}}`
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/**
 * Every other text that a lenient base64url decoder reads as the same bytes: 15, 3 or none, depending on how many bits
 * of the last character are unused.
 */
export function respellings(base64url: string): string[] {
  const spare = { 2: 16, 3: 4 }[base64url.length % 4] ?? 1
  const last = ALPHABET.indexOf(base64url.slice(-1))
  const first = last - (last % spare)
  return [...ALPHABET.slice(first, first + spare)]
    .map((character) => base64url.slice(0, -1) + character)
    .filter((text) => text !== base64url)
}

/** A good part with changed members, or another part altogether. */
function part(good: object, change: unknown): unknown {
  const plain = typeof change === 'object' && change !== null && Object.getPrototypeOf(change) === Object.prototype
  if (change === undefined || plain) return { ...good, ...(change as object | undefined) }
  return change
}
