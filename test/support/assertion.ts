import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { SignJWT } from 'jose'
import { JWT_BEARER } from '../../src/clients/presented-credential.ts'
import { randomId } from '../../src/ids.ts'
import { NOW } from './oauth.ts'

export const TOKEN_ENDPOINT = 'http://127.0.0.1:3000/oauth/token'

/** A key pair of a client, and the way it signs. */
export interface ClientKey {
  readonly alg: string
  readonly kid: string
  readonly privateKey: KeyObject
  readonly jwk: JsonWebKey
}

export function clientKey(alg: string, kid = randomId()): ClientKey {
  const pair = /^[RP]S/.test(alg)
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : alg === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('ed25519')
  return { alg, kid, privateKey: pair.privateKey, jwk: { ...pair.publicKey.export({ format: 'jwk' }), kid } }
}

/** The members of a form that show a good assertion, but for the given changes; undefined leaves a claim out. */
export async function assertion(
  key: ClientKey,
  clientId: string,
  change: { claims?: Record<string, unknown>; header?: Record<string, unknown> } = {},
) {
  const claims = { iss: clientId, sub: clientId, aud: TOKEN_ENDPOINT, exp: NOW + 60, iat: NOW, jti: randomId() }
  const payload = JSON.parse(JSON.stringify({ ...claims, ...change.claims }))
  const text = await new SignJWT(payload)
    .setProtectedHeader({ alg: key.alg, kid: key.kid, ...change.header })
    .sign(key.privateKey)
  return { grant_type: 'client_credentials', client_assertion_type: JWT_BEARER, client_assertion: text }
}
