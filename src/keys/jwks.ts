import { type Static, Type } from '@sinclair/typebox'
import { strongEtag } from '../http/etag.ts'
import { PublicJwk } from './jwk-schema.ts'

export const JwkSet = Type.Object(
  { keys: Type.Array(PublicJwk) },
  { $id: 'JwkSet', description: 'JWK Set, RFC 7517 section 5' },
)
export type JwkSet = Static<typeof JwkSet>

/** A JWKS ready to be sent: nothing is computed per request. */
export interface JwksDocument {
  readonly body: Buffer
  /** Strong entity tag (RFC 9110 section 8.8.3): changes with the content only. */
  readonly etag: string
}

export function jwksDocument(keys: readonly PublicJwk[]): JwksDocument {
  const body = Buffer.from(JSON.stringify({ keys }))
  return { body, etag: strongEtag(body) }
}
