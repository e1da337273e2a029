import type { RequestSource } from '../audit/audit.ts'
import type { BoundedInsert } from '../audit/bounded-insert.ts'
import type { Clock } from '../clock.ts'
import { OAuthError } from '../errors/oauth-error.ts'
import { FIRST_PARTY_CLIENT } from '../tokens/issue.ts'
import { CLIENT_ID_PREFIX, type Client, usesSecret } from './client.ts'
import { unverifiedSubject, type VerifyAssertion } from './client-assertion.ts'
import { matchesSecret } from './client-secret.ts'
import type { ClientStore } from './client-store.ts'
import type { PresentedCredential } from './presented-credential.ts'

export interface AuthenticateClient {
  /**
   * The client that a credential proves.
   *
   * @throws OAuthError `invalid_client`, the same for every cause
   */
  confidential(credential: PresentedCredential, source: RequestSource): Promise<Client>
  /** The same, or undefined for our own public client, which has no secret. */
  any(credential: PresentedCredential, source: RequestSource): Promise<Client | undefined>
}

type Found = Awaited<ReturnType<ClientStore['forAuthentication']>>

const CLIENT_ID = new RegExp(`^${CLIENT_ID_PREFIX}[\\w-]{22}$`)

/**
 * Client authentication (RFC 6749 section 2.3, RFC 7523 section 3). An unknown client and a wrong secret get the same
 * answer for the same work. The store is asked each time, so a client that was disabled or has a new secret is known at
 * once on every server.
 */
export function createAuthenticateClient(parts: {
  clients: Pick<ClientStore, 'forAuthentication' | 'useAssertion'>
  verifyAssertion: VerifyAssertion
  boundedInsert: BoundedInsert
  now: Clock
}): AuthenticateClient {
  const { clients, verifyAssertion, boundedInsert, now } = parts

  const confidential: AuthenticateClient['confidential'] = async (credential, source) => {
    if (credential.kind === 'none') throw new OAuthError('invalid_client', 'no client credential')
    const id = claimedId(credential)
    const found = id !== undefined && CLIENT_ID.test(id) ? await clients.forAuthentication(id, now()) : undefined
    const fault = await credentialFault(credential, found)
    if (fault === undefined && found !== undefined) return found.client

    const detail = { reason: fault ?? '', client_id: found?.client.id ?? null }
    await boundedInsert('clientFailure', { event: 'client_authentication_failed', source, detail })
    throw new OAuthError('invalid_client', detail.reason)
  }

  /** Why a credential is refused, for the log; undefined when it is good. */
  async function credentialFault(credential: PresentedCredential, found: Found): Promise<string | undefined> {
    if (credential.kind === 'secret') return secretFault(credential.secret, found)
    if (credential.kind === 'none' || found === undefined) return 'unknown client'
    return assertionFault(found.client, credential)
  }

  async function assertionFault(
    client: Client,
    { assertion, clientId = client.id }: PresentedCredential & { kind: 'assertion' },
  ): Promise<string | undefined> {
    if (usesSecret(client)) return 'the client has no keys'
    if (clientId !== client.id) return 'client_id is not the subject of the assertion'
    let used: Awaited<ReturnType<VerifyAssertion>>
    try {
      used = await verifyAssertion(client, assertion)
    } catch (error) {
      return `assertion: ${(error as Error).message}`.slice(0, 200)
    }
    if (client.status !== 'active') return 'the client is disabled'
    // Checked last, so that nobody but the client itself can use up the id of an assertion.
    return (await clients.useAssertion(client.id, used.jtiHash, used.expiresAt)) ? undefined : 'assertion: used before'
  }

  return {
    confidential,
    async any(credential, source) {
      const { kind, clientId } = credential
      if (kind === 'none' && (clientId ?? FIRST_PARTY_CLIENT) === FIRST_PARTY_CLIENT) return undefined
      return confidential(credential, source)
    },
  }
}

/** When no client was found, does the same work on a decoy. */
function secretFault(secret: string, found: Found): string | undefined {
  const hashes = found !== undefined && usesSecret(found.client) ? found.secretHashes : []
  const matches = matchesSecret(secret, hashes)
  if (found === undefined) return 'unknown client'
  if (!matches) return 'wrong secret'
  return found.client.status === 'active' ? undefined : 'the client is disabled'
}

function claimedId(credential: Exclude<PresentedCredential, { kind: 'none' }>): string | undefined {
  return credential.kind === 'secret' ? credential.clientId : unverifiedSubject(credential.assertion)
}
