import { Type } from '@sinclair/typebox'
import { isEmail, normaliseEmail, storedSpellings } from '../accounts/account.ts'
import type { AuditEntry, AuditEvent, RequestSource } from '../audit/audit.ts'
import type { AuditStore } from '../audit/audit-store.ts'
import type { BoundedInsert } from '../audit/bounded-insert.ts'
import type { Clock } from '../clock.ts'
import { AppError, type ErrorCode } from '../errors/app-error.ts'
import type { RefreshKey } from '../keys/refresh-keys.ts'
import { codeHashesOf, type Purpose } from './one-time-token.ts'
import type { FoundToken, OneTimeTokenStore } from './one-time-token-store.ts'

/** What somebody shows who got a message: the token of its link, or its code with the address. */
export type Proof = { readonly token: string } | { readonly email: string; readonly code: string }

/** The members of a body in which a proof comes: the token of a link, or the code of a message with the address. */
export const ProofMembers = {
  token: Type.Optional(Type.String({ minLength: 1, maxLength: 128, description: 'the token of the link; or' })),
  email: Type.Optional(Type.String({ minLength: 3, maxLength: 320, description: 'the address, with `code`' })),
  code: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'the code of the message' })),
}

/**
 * @throws AppError `validation_failed` unless it is one of the two forms
 */
export function proofOf({ token, email, code }: { token?: string; email?: string; code?: string }): Proof {
  if (token !== undefined && email === undefined && code === undefined) return { token }
  if (token === undefined && email !== undefined && code !== undefined) return { email, code }
  const message = 'send either token, or email and code'
  throw new AppError('validation_failed', { fields: [{ field: '', message }] })
}

/**
 * Finds what a proof stands for. It changes nothing but the count of wrong codes: the caller uses the token up, in the
 * transaction of what it allows.
 *
 * @returns a function that throws AppError `invalid_recovery_token`: wrong, used, too old, of another purpose, or of an
 *   account that has changed since
 */
export type FindProof = (
  proof: Proof,
  asked: { purposes: readonly Purpose[]; failed: AuditEvent; source: RequestSource },
) => Promise<FoundToken>

export function createFindProof(parts: {
  tokens: OneTimeTokenStore
  keys: () => readonly RefreshKey[]
  auditStore: AuditStore
  now: Clock
}): FindProof {
  const { tokens, keys, auditStore, now } = parts
  return async (proof, { purposes, failed, source }) => {
    if ('token' in proof) {
      const found = await tokens.byToken(proof.token, purposes, now())
      if (found !== undefined) return found
      await auditStore.insert({ event: failed, source, detail: { reason: 'no such token' } }, now())
      throw new AppError('invalid_recovery_token', { reason: 'no such token' })
    }
    const email = normaliseEmail(proof.email)
    const hashes = codeHashesOf(keys(), email, proof.code)
    const entry: AuditEntry = { event: failed, source, detail: { reason: 'wrong code' } }
    const found = await tokens.byCode({ email, hashes, purposes }, now(), entry)
    if (found !== undefined) return found
    throw new AppError('invalid_recovery_token', { reason: 'wrong code' })
  }
}

/** Why a good proof leads to nothing. What is only busy is no refusal. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(['invalid_recovery_token', 'password_unacceptable'])

/**
 * Makes what goes behind `.catch` where a good proof is used: it writes down a refusal, with the account, and throws
 * on.
 */
export type NoteRefusedProof = (entry: AuditEntry) => (error: unknown) => Promise<never>

export function createNoteRefusedProof(boundedInsert: BoundedInsert): NoteRefusedProof {
  return (entry) => async (error) => {
    if (error instanceof AppError && REFUSALS.has(error.code))
      await boundedInsert('refusedChange', { ...entry, detail: { reason: error.code } })
    throw error
  }
}

/**
 * The address that somebody asks a message for.
 *
 * @param field of the body, for the error
 * @throws AppError `validation_failed` for what can't be an address
 */
export function addressOf(given: string, field: string): string {
  const email = normaliseEmail(given)
  // An account from before may stand in the store in another spelling.
  if (storedSpellings(given).some(isEmail)) return email
  throw new AppError('validation_failed', { fields: [{ field, message: 'is not an email address' }] })
}
