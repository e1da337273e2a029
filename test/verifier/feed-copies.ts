import { CompactSign, generateKeyPair } from 'jose'
import { publicJwk } from '../../src/keys/jwk.ts'
import { generatePrivateKey } from '../../src/keys/private-keys.ts'
import type { FeedClaims } from '../../src/revocations/feed-format.ts'

export const ISSUER = 'https://signet.example'
export const NOW = 1_800_000_000
const privateKey = await generatePrivateKey(2048)
export const jwk = publicJwk(privateKey)
const stranger = await generateKeyPair('RS256')

const EMPTY = { sessions: [], accounts: {}, clients: {}, tokens: [], keys: [] }
export const caller = {
  iss: ISSUER,
  aud: 'me',
  sub: 'acc_1',
  client_id: 'signet',
  iat: NOW,
  exp: NOW + 600,
  jti: 'j',
  sid: 's1',
}

export type Copy = Partial<FeedClaims> & { readonly header?: object; readonly forged?: boolean }

export async function signed({ header, forged, ...claims }: Copy): Promise<string> {
  const payload = { iss: ISSUER, seq: 0, iat: NOW, exp: NOW + 60, ...EMPTY, ...claims }
  return new CompactSign(Buffer.from(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'RS256', typ: 'revocations+jwt', kid: jwk.kid, ...header })
    .sign(forged === true ? stranger.privateKey : privateKey)
}
