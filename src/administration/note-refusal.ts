import type { FastifyRequest } from 'fastify'
import type { AuditEntry } from '../audit/audit.ts'
import type { BoundedInsert } from '../audit/bounded-insert.ts'
import type { AppError } from '../errors/app-error.ts'
import { type Actor, actorOf } from './actor.ts'

/** What a refused attempt was about. */
export interface Refused extends Pick<AuditEntry, 'accountId' | 'sessionId' | 'detail'> {}

/** Writes a refused attempt into the audit trail, a bounded number of times. @returns the error, to be thrown */
export type NoteRefusal = (error: AppError, by: Actor, refused: Refused) => Promise<AppError>

export function createNoteRefusal({ boundedInsert }: { boundedInsert: BoundedInsert }): NoteRefusal {
  return async (error, { actorId, source, attempt = '' }, { accountId, sessionId, detail }) => {
    const about = { accountId, sessionId, detail: { attempt, reason: error.code, ...detail } }
    await boundedInsert('refusedChange', { event: 'administration_refused', source, actorId, ...about })
    return error
  }
}

const ADMINISTRATION = /^\/v1\/admin\//
const AN_ID = /^[\w-]{1,64}$/

/**
 * Notes whom the guard refuses below `/v1/admin`: somebody who is logged in and is no admin, or a machine without the
 * scope. Never rejects: the refusal is answered also when it can't be written.
 */
export function createNoteDenied({ noteRefusal }: { noteRefusal: NoteRefusal }) {
  return async (error: AppError, request: FastifyRequest): Promise<void> => {
    if (!ADMINISTRATION.test(request.routeOptions.url ?? '')) return
    const { id = '' } = request.params as { id?: string }
    // In `detail`: anybody can write any id there, and the trail of an account tells what happened to that account. The
    // parameter is not validated yet.
    const detail = AN_ID.test(id) ? { target: id } : {}
    const refused = { sessionId: request.user.sid, detail }
    await noteRefusal(error, actorOf(request), refused).catch((err) =>
      request.log.error({ err }, 'a refusal can not be written into the audit trail'),
    )
  }
}

/** For scripts: the operator is refused nothing that the trail must have. */
export const NOTE_NOTHING: NoteRefusal = async (error) => error
