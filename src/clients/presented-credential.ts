import { OAuthError } from '../errors/oauth-error.ts'
import { formDecoded } from '../http/form-decoded.ts'

/** `client_assertion_type` of private_key_jwt, RFC 7523 section 2.2. */
export const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** The credential with which a request claims to come from a client. Nothing in it is verified. */
export type PresentedCredential =
  | { readonly kind: 'none'; readonly clientId: string | undefined }
  | { readonly kind: 'secret'; readonly clientId: string; readonly secret: string }
  | { readonly kind: 'assertion'; readonly clientId: string | undefined; readonly assertion: string }

/** The form parameters in which a client may send its credential. */
export interface CredentialMembers {
  readonly client_id?: string | undefined
  readonly client_secret?: string | undefined
  readonly client_assertion?: string | undefined
  readonly client_assertion_type?: string | undefined
}

/**
 * Finds the one method with which a request authenticates its client (RFC 6749 section 2.3: more than one is refused).
 *
 * @param authorization the value of the one Authorization header
 * @throws OAuthError `invalid_request` for several methods or an incomplete one, `invalid_client` for an unknown method
 */
export function presentedCredential(authorization: string | undefined, form: CredentialMembers): PresentedCredential {
  const { client_id: clientId, client_secret: secret, client_assertion: assertion, client_assertion_type: type } = form
  const ways = [authorization, secret, assertion ?? type].filter((way) => way !== undefined)
  if (ways.length > 1)
    throw new OAuthError('invalid_request', 'several client credentials', 'One client credential is allowed.')

  if (authorization !== undefined) return basicCredential(authorization, clientId)
  if (secret !== undefined) {
    if (clientId === undefined)
      throw new OAuthError('invalid_request', 'a secret without client_id', 'client_id is missing.')
    return { kind: 'secret', clientId, secret }
  }
  if (assertion === undefined && type === undefined) return { kind: 'none', clientId }
  if (assertion === undefined || type === undefined)
    throw new OAuthError(
      'invalid_request',
      'half an assertion',
      'client_assertion and client_assertion_type go together.',
    )
  if (type !== JWT_BEARER) throw new OAuthError('invalid_client', 'another client_assertion_type')
  return { kind: 'assertion', clientId, assertion }
}

/**
 * RFC 6749 section 2.3.1: id and secret are form-urlencoded first, then joined as RFC 7617 says. With an empty secret,
 * as some libraries send it for a public client, it says no more than `client_id` in the form does.
 */
function basicCredential(authorization: string, clientIdOfForm: string | undefined): PresentedCredential {
  const [, base64] = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization) ?? []
  if (base64 === undefined) throw new OAuthError('invalid_client', 'an Authorization header that is not Basic')
  const pair = Buffer.from(base64, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  const clientId = formDecoded(pair.slice(0, Math.max(colon, 0)))
  const secret = formDecoded(pair.slice(colon + 1))
  if (colon === -1 || !clientId || secret === undefined)
    throw new OAuthError('invalid_client', 'Basic without an id and a secret')
  if (clientIdOfForm !== undefined && clientIdOfForm !== clientId)
    throw new OAuthError('invalid_request', 'two client ids', 'client_id is not that of the Authorization header.')
  return secret === '' ? { kind: 'none', clientId } : { kind: 'secret', clientId, secret }
}
