import type { FastifyBaseLogger } from 'fastify'

export type AuditEvent = 'account_registered' | 'login_succeeded' | 'login_failed'

/** Where a request came from, as far as it is worth keeping. */
export interface Origin {
  readonly ip: string
  /** At most 256 characters of what the client says of itself. */
  readonly userAgent: string | null
  readonly requestId: string
}

export interface AuditDetail {
  readonly account_id?: string | undefined
  readonly session_id?: string | undefined
  /** Why it was refused; for the log only. */
  readonly reason?: string
}

/** Records who did what, when and from where (ASVS 16.2.1). Never a secret, never an email. */
export type Audit = (event: AuditEvent, origin: Origin, detail: AuditDetail) => void

export function createAudit(log: FastifyBaseLogger): Audit {
  return (event, { ip, userAgent, requestId }, detail) =>
    log.info({ event, ...detail, ip, user_agent: userAgent, request_id: requestId }, event)
}
