import { createPublicKey, generateKeyPair, type KeyObject, sign } from 'node:crypto'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { systemClock } from '../../../src/clock.ts'
import { MAX_ACCESS_TOKEN_TTL_SECONDS } from '../../../src/config/ceilings.ts'
import { phase } from '../../../src/keys/keyring.ts'
import { readKeyring } from '../../../src/keys/manifest.ts'
import { readPrivateKey } from '../../../src/keys/private-keys.ts'
import { createIssuer, FIRST_PARTY_CLIENT, type Grant, type IssueAccessToken } from '../../../src/tokens/issue.ts'
import type { Bench } from './figure.ts'
import { type Server, serverKeys } from './server-process.ts'

/** More than the number of threads in libuv's pool, so that none of them ever waits for the event loop. */
export const SIGN_IN_FLIGHT = 16

/**
 * More than the guard's cache can hold (two generations of 10,000): in a ring of this length, a token is never in the
 * cache when its turn comes again.
 */
export const NEW_TOKENS = 25_000

/** The grant of a token from a login. */
export function grant(): Grant {
  return {
    sub: 'acc_0123456789abcdefghijkl',
    client_id: FIRST_PARTY_CLIENT,
    sid: '0123456789abcdefghijkl',
    auth_time: systemClock(),
    roles: ['admin'],
    token_version: 1,
  }
}

/** Signet's own issuer with a key of our choice; the live keyring adds only a look-up in a Map. */
export function issuerOf(issuer: string, kid: string, privateKey: KeyObject, ttl = 600): IssueAccessToken {
  const key = privateKey.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['sign'])
  const keyring = { signingKey: () => ({ kid, key }) }
  return createIssuer({ issuer, audience: [issuer], ttl, keyring, now: systemClock })
}

/**
 * Tokens signed with the key of a server, which accepts them as its own: thousands of tokens without thousands of
 * logins.
 */
export interface Minted {
  readonly tokens: readonly string[]
  /** The file with the same tokens, one per line. */
  readonly file: string
  /** The public key of the key that signed them. */
  readonly publicPem: string
}

export async function mintTokens(bench: Bench, { origin }: Server, home: string, count: number): Promise<Minted> {
  const folder = serverKeys(home)
  const current = (await readKeyring(folder)).find((entry) => phase(entry, systemClock()) === 'current')
  const privateKey = await readPrivateKey(folder, current?.kid ?? '')
  const issue = issuerOf(origin, current?.kid ?? '', privateKey, MAX_ACCESS_TOKEN_TTL_SECONDS)

  const tokens: string[] = []
  const lane = async () => {
    while (tokens.length < count) tokens.push((await issue(grant())).token)
  }
  await Promise.all(Array.from({ length: SIGN_IN_FLIGHT }, lane))
  const file = join(await mkdtemp(join(bench.folder, 'tokens-')), 'tokens')
  await writeFile(file, tokens.join('\n'))
  return { tokens, file, publicPem: createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString() }
}

/** One RSA-2048 signature on the thread pool, over as many bytes as a token has: nothing can issue tokens faster. */
export async function bareSigner(): Promise<() => Promise<unknown>> {
  const privateKey = await newRsaKey()
  const { token } = await issuerOf('http://127.0.0.1', 'A'.repeat(43), privateKey)(grant())
  const signingInput = Buffer.from(token.slice(0, token.lastIndexOf('.')))
  const signAsync = promisify(sign)
  return () => signAsync('sha256', signingInput, privateKey)
}

export async function newRsaKey(): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  return privateKey
}
