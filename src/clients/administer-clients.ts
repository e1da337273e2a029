import { type Actor, type Holdings, notForMachines, scopeNames } from '../administration/actor.ts'
import { ADMIN_SCOPES, isUnknownReserved } from '../administration/admin-scopes.ts'
import type { NoteRefusal } from '../administration/note-refusal.ts'
import type { AuditEntry, AuditEvent } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { MAX_AUDIENCE_BYTES } from '../config/ceilings.ts'
import { AppError } from '../errors/app-error.ts'
import type { PageOf } from '../http/paging.ts'
import { randomId } from '../ids.ts'
import {
  audienceOf,
  CLIENT_ID_PREFIX,
  type Client,
  type ClientStatus,
  type NewClient,
  type PublicKey,
  usesSecret,
} from './client.ts'
import { isJwksUri } from './client-key-source.ts'
import { readPublicKey } from './client-public-key.ts'
import { hashClientSecret, makeClientSecret } from './client-secret.ts'
import type { ClientStore } from './client-store.ts'

export interface AdministerClients {
  page(page: PageOf): Promise<Client[]>
  /** @throws AppError `not_found` */
  client(id: string): Promise<Client>
  /**
   * @returns the client, and its secret, which is shown only this once
   * @throws AppError `validation_failed`, `insufficient_scope` for what a machine may not give
   */
  create(input: NewClient, actor: Actor): Promise<{ client: Client; secret: string | undefined }>
  /**
   * @param overlap seconds for which the previous secret stays good
   * @throws AppError `not_found`, `client_without_secret`, `insufficient_scope` when a machine means a client that may
   *   do more than itself
   */
  rotateSecret(id: string, overlap: number, actor: Actor): Promise<{ secret: string; previousExpiresAt: number }>
  /** @throws AppError `not_found`, `insufficient_scope` as `rotateSecret` */
  setStatus(id: string, status: ClientStatus, actor: Actor): Promise<Client>
  /** @throws AppError `not_found`, `insufficient_scope` as `rotateSecret` */
  remove(id: string, actor: Actor): Promise<void>
}

/**
 * What admins do to clients, through the API and by script. A change of status and a deletion resolve when this node
 * refuses the client's tokens.
 *
 * @param parts.audience of the server, for clients without one of their own
 */
export function createAdministerClients(parts: {
  clients: ClientStore
  audience: readonly string[]
  noteRefusal: NoteRefusal
  revocationsApplied: () => Promise<void>
  now: Clock
}): AdministerClients {
  const { clients, audience, noteRefusal, revocationsApplied, now } = parts
  const entryOf = (event: AuditEvent, id: string, { actorId, source }: Actor): AuditEntry => ({
    event,
    source,
    actorId,
    detail: { client_id: id },
  })
  const client = async (id: string) => {
    const found = await clients.byId(id)
    if (found === undefined) throw new AppError('not_found')
    return found
  }
  const assertWithin = async (client: Client, actor: Actor, detail: AuditEntry['detail'] & object) => {
    if (actor.holds === undefined) return
    const why = whyBeyond(actor.holds, scopeNames(client.scope), audienceOf(client, audience))
    if (why !== undefined) throw await noteRefusal(notForMachines(why), actor, { detail })
  }
  /** Nobody changes the scope or the audience of a client later, so what is read here still holds at the change. */
  const assertMayChange = async (id: string, actor: Actor) => {
    if (actor.holds !== undefined) await assertWithin(await client(id), actor, { client_id: id })
  }

  return {
    page: (page) => clients.list(page),
    client,

    async create(input, actor) {
      const client = newClient(input, now())
      await assertWithin(client, actor, { scope: client.scope, audience: client.audience })
      const secret = usesSecret(client) ? makeClientSecret() : undefined
      const entry = entryOf('client_created', client.id, actor)
      await clients.insert(client, secret && hashClientSecret(secret), entry)
      return { client, secret }
    },

    async rotateSecret(id, overlap, actor) {
      await assertMayChange(id, actor)
      const secret = makeClientSecret()
      const instant = now()
      const entry = entryOf('client_secret_rotated', id, actor)
      const outcome = await clients.rotateSecret(id, { hash: hashClientSecret(secret), overlap }, instant, entry)
      if (outcome !== 'done') throw new AppError(outcome === 'missing' ? 'not_found' : 'client_without_secret')
      return { secret, previousExpiresAt: instant + overlap }
    },

    async setStatus(id, status, actor) {
      await assertMayChange(id, actor)
      const entry = entryOf(status === 'active' ? 'client_enabled' : 'client_disabled', id, actor)
      const outcome = await clients.setStatus(id, status, now(), entry)
      if (outcome === 'missing') throw new AppError('not_found')
      await revocationsApplied()
      return client(id)
    },

    async remove(id, actor) {
      await assertMayChange(id, actor)
      const entry = entryOf('client_deleted', id, actor)
      if (!(await clients.remove(id, now(), entry))) throw new AppError('not_found')
      await revocationsApplied()
    },
  }
}

/**
 * Why a machine may not make, take over, switch or delete a client: it may do more than the token of the machine.
 *
 * @returns undefined when it does not
 */
function whyBeyond(holds: Holdings, scope: readonly string[], audience: readonly string[]): string | undefined {
  if (!scope.every((name) => holds.scope.includes(name)))
    return 'A machine may not administer a client with a scope that its own token lacks.'
  if (!audience.every((name) => holds.audience.includes(name)))
    return 'A machine may not administer a client with an audience that its own token lacks.'
  return undefined
}

/** @throws AppError `validation_failed` for what the schema can't check */
function newClient(input: NewClient, createdAt: number): Client {
  const { name, scope = '', audience = [], ttl = null, jwks, jwks_uri: jwksUri } = input
  if (JSON.stringify(audience).length > MAX_AUDIENCE_BYTES)
    throw unacceptable('/audience', `takes more than ${MAX_AUDIENCE_BYTES} characters`)
  if (jwks !== undefined && jwksUri !== undefined) throw unacceptable('/jwks_uri', 'is not needed beside jwks')
  if (jwksUri !== undefined && !isJwksUri(jwksUri)) throw unacceptable('/jwks_uri', 'is not an https address')
  if (scopeNames(scope).some(isUnknownReserved))
    throw unacceptable('/scope', `has an unknown name that begins with signet:. Known are ${ADMIN_SCOPES.join(', ')}`)
  const hasKeys = jwks !== undefined || jwksUri !== undefined
  const authMethod = input.token_endpoint_auth_method ?? (hasKeys ? 'private_key_jwt' : 'client_secret_basic')
  if (hasKeys !== (authMethod === 'private_key_jwt'))
    throw unacceptable('/token_endpoint_auth_method', 'private_key_jwt and keys go together')
  return {
    id: `${CLIENT_ID_PREFIX}${randomId()}`,
    name,
    scope: [...new Set(scope.split(' '))].join(' '),
    audience,
    ttl,
    authMethod,
    jwks: jwks === undefined ? null : { keys: jwks.keys.map(publicKey) },
    jwksUri: jwksUri ?? null,
    status: 'active',
    tokenVersion: 1,
    createdAt,
  }
}

function publicKey(jwk: object, index: number, all: readonly object[]): PublicKey {
  const key = readPublicKey(jwk)
  if ('fault' in key) throw unacceptable(`/jwks/keys/${index}`, key.fault ?? '')
  const sharesKid = (other: object) => other !== jwk && (other as PublicKey).kid === key.kid
  if (key.kid !== undefined && all.some(sharesKid)) throw unacceptable(`/jwks/keys/${index}`, 'has the kid of another')
  return key
}

function unacceptable(field: string, message: string): AppError {
  return new AppError('validation_failed', { reason: `${field} ${message}`, fields: [{ field, message }] })
}
