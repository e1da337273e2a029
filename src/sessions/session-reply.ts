import { toTimestamp } from '../clock.ts'
import type { Session } from './session.ts'

/** What is shown of a session: to its owner by the API, to an operator by the script. */
export function sessionReply({ id, clientId, createdAt, lastUsedAt, expiresAt, ip, userAgent }: Session) {
  return {
    id,
    client_id: clientId,
    created_at: toTimestamp(createdAt),
    last_used_at: toTimestamp(lastUsedAt),
    expires_at: toTimestamp(expiresAt),
    ip,
    user_agent: userAgent,
  }
}
