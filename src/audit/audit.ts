/**
 * The audit trail: its events, its table and its log line. The row is written in the transaction of the change itself
 * (`auditedDatabase` adds the log line). Which change is an event is decided by the folder that makes the change.
 */

import type { FastifyBaseLogger } from 'fastify'

export type AuditEvent =
  | 'account_activated'
  | 'account_deleted'
  | 'account_deletion_refused'
  | 'account_disowned'
  | 'account_invited'
  | 'account_registered'
  | 'account_revoked'
  | 'account_suspended'
  | 'administration_refused'
  | 'all_sessions_ended'
  | 'backup_restored'
  | 'client_authentication_failed'
  | 'client_created'
  | 'client_deleted'
  | 'client_disabled'
  | 'client_enabled'
  | 'client_secret_rotated'
  | 'client_token_issued'
  | 'disown_failed'
  | 'email_change_failed'
  | 'email_change_requested'
  | 'email_change_throttled'
  | 'email_change_undone'
  | 'email_changed'
  | 'email_confirmation_failed'
  | 'email_verified'
  | 'keys_changed'
  | 'login_failed'
  | 'login_succeeded'
  | 'login_throttled'
  | 'logout'
  | 'message_dead'
  | 'password_change_failed'
  | 'password_change_refused'
  | 'password_change_throttled'
  | 'password_changed'
  | 'password_recovered'
  | 'password_set'
  | 'reauthenticated'
  | 'reauthentication_failed'
  | 'reauthentication_throttled'
  | 'recovery_failed'
  | 'recovery_requested'
  | 'recovery_sent'
  | 'refresh_token_ahead'
  | 'refresh_token_repeated'
  | 'refresh_token_retried'
  | 'refresh_token_reused'
  | 'registration_repeated'
  | 'revocations_written_back'
  | 'roles_changed'
  | 'session_ended'
  | 'token_revoked'

/** Somebody should look. */
const WARNINGS: readonly AuditEvent[] = ['message_dead', 'refresh_token_reused']

/** Where a request came from, as far as it is kept. */
export interface RequestSource {
  readonly ip: string | null
  /** The User-Agent header, cut after 256 characters. The client chooses it: it proves nothing. */
  readonly userAgent: string | null
  readonly requestId: string | null
}

/** Who did what, and from where (ASVS 16.2.1). Never a secret, and of an email only what `maskedEmail` leaves. */
export interface AuditEntry {
  readonly event: AuditEvent
  readonly source: RequestSource
  readonly accountId?: string | undefined
  readonly sessionId?: string | undefined
  /** Who acted, when it is not the account concerned: the account of an admin, or the client of a machine. */
  readonly actorId?: string | undefined
  readonly detail?: Readonly<Record<string, string | number | null | readonly string[]>>
}

/** Writes the log line of an event. Call it only for events without a row: auditedDatabase logs every row. */
export type AuditLog = (entry: AuditEntry) => void

export function createAuditLog(log: Pick<FastifyBaseLogger, 'info' | 'warn'>): AuditLog {
  return ({ event, source, accountId, sessionId, actorId, detail }) => {
    const level = WARNINGS.includes(event) ? 'warn' : 'info'
    log[level](
      {
        event,
        account_id: accountId,
        session_id: sessionId,
        actor_id: actorId,
        ...detail,
        ip: source.ip,
        user_agent: source.userAgent,
        request_id: source.requestId,
      },
      event,
    )
  }
}
