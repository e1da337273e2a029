/** What the audit row of a login says when the refresh token went into the cookie. */
export const COOKIE_TRANSPORT = { transport: 'cookie' } as const

/**
 * Tells whether a session was opened with the cookie transport. The audit row of its login says so: the session's own
 * row does not. False also when that row is of an earlier release, or was deleted after AUDIT_RETENTION.
 */
export type HasCookieTransport = (session: {
  readonly accountId: string
  readonly sessionId: string
}) => Promise<boolean>
