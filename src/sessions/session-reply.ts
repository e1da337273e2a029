import { type Static, Type } from '@sinclair/typebox'
import { toTimestamp } from '../clock.ts'
import { Timestamp } from '../http/schemas.ts'
import type { Session } from './session.ts'

const SessionReply = Type.Object(
  {
    id: Type.String(),
    current: Type.Boolean({ description: 'the session of the token that asks' }),
    client_id: Type.String(),
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    ip: Type.Union([Type.String(), Type.Null()]),
    user_agent: Type.Union([Type.String(), Type.Null()]),
  },
  { $id: 'Session', description: 'One login' },
)
export const Sessions = Type.Object(
  { sessions: Type.Array(SessionReply) },
  { $id: 'Sessions', description: 'Live sessions of an account, the last used first' },
)

/** @param asking the session of the token that asks, if it has one */
export function sessionsReply(sessions: readonly Session[], asking: string | undefined): Static<typeof Sessions> {
  return { sessions: sessions.map((one) => ({ ...sessionReply(one), current: one.id === asking })) }
}

/** What is shown of a session: to its owner and to admins by the API, to an operator by the script. */
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
