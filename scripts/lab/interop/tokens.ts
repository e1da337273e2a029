import { createHmac } from 'node:crypto'
import { systemClock } from '../../../src/clock.ts'
import { readPrivateKey, storedKids } from '../../../src/keys/private-keys.ts'
import { createMint, encode, type Mint } from '../../../test/support/mint.ts'
import type { Issuer } from './issuer.ts'

/** Tokens that must be refused, by column of the report and by what is wrong with them. */
export type BadTokens = Readonly<Record<string, Readonly<Record<string, string>>>>

/** A mint with the server's own key: its tokens are correctly signed, unless it is told otherwise. */
export async function issuerMint({ keysFolder, url, audience }: Issuer): Promise<Mint> {
  const folder = { dir: keysFolder, passphrase: undefined }
  const [kid = ''] = await storedKids(folder)
  const privateKey = await readPrivateKey(folder, kid)
  return createMint({ kid, issuer: url, audience, now: systemClock(), privateKey })
}

/** @param feed the server's own revocation feed: a JWS that is signed with the same key and is no access token */
export function badTokens(mint: Mint, good: string, feed: string): BadTokens {
  const claims = (change: object) => mint.token({ claims: change })
  return {
    tampered: tampered(good),
    expired: { expired: claims({ iat: mint.now - 600, exp: mint.now - 120 }) },
    'other aud': { 'another audience': claims({ aud: 'https://other.example.com' }) },
    'other iss': { 'another issuer': claims({ iss: 'https://other.example.com' }) },
    'no claim': Object.fromEntries(
      ['exp', 'aud', 'iss'].map((name) => [`without ${name}`, claims({ [name]: undefined })]),
    ),
    confusion: {
      none: `${mint.token({ header: { alg: 'none' } }).replace(/[^.]*$/, '')}`,
      HS256: mint.token({ header: { alg: 'HS256' } }, (input) =>
        createHmac('sha256', mint.publicKey.export({ format: 'pem', type: 'spki' }))
          .update(input)
          .digest(),
      ),
      typ: mint.token({ header: { typ: 'JWT' } }),
      feed,
    },
  }
}

function tampered(good: string): Record<string, string> {
  const [header = '', payload = '', signature = ''] = good.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const bytes = Buffer.from(signature, 'base64url')
  bytes[100] = ~(bytes[100] ?? 0)
  return {
    'another subject': [header, encode({ ...claims, sub: 'acc_mallory' }), signature].join('.'),
    'another signature': [header, payload, bytes.toString('base64url')].join('.'),
    'no signature': `${header}.${payload}.`,
  }
}
