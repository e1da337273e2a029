import { type TProperties, Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import {
  type CredentialMembers,
  JWT_BEARER,
  type PresentedCredential,
  presentedCredential,
} from '../clients/presented-credential.ts'
import { authorizationLine } from '../tokens/credential.ts'

/** The parameters with which every form of `/oauth/*` may authenticate its client. */
const CREDENTIAL = {
  client_id: Type.Optional(Type.String({ maxLength: 255 })),
  client_secret: Type.Optional(Type.String({ maxLength: 512, description: 'client_secret_post' })),
  client_assertion: Type.Optional(Type.String({ maxLength: 8192, description: 'private_key_jwt' })),
  client_assertion_type: Type.Optional(Type.String({ maxLength: 255, description: JWT_BEARER })),
}

/**
 * The schema of a form, with an example for a client that uses Basic. Unknown parameters are ignored (RFC 6749 section
 * 3.2).
 */
export function formOf<T extends TProperties>(properties: T, example: { readonly [name in keyof T]?: unknown }) {
  return Type.Object({ ...properties, ...CREDENTIAL }, { additionalProperties: true, examples: [example] })
}

export function credentialOf(request: FastifyRequest, form: CredentialMembers): PresentedCredential {
  return presentedCredential(authorizationLine(request.raw.rawHeaders), form)
}

/**
 * The same where our own public client may ask. Its apps often add their access token to every request, and it has
 * often expired when they refresh: a Bearer header is no client credential, and counts as absent.
 */
export function publicCredentialOf(request: FastifyRequest, form: CredentialMembers): PresentedCredential {
  const line = authorizationLine(request.raw.rawHeaders)
  return presentedCredential(line !== undefined && /^bearer(\s|$)/i.test(line) ? undefined : line, form)
}
