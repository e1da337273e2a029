import { MAX_REPEATS, type SessionLimits } from '../../../src/sessions/session.ts'

export const LIMITS: SessionLimits = { idleTtl: 300, maxTtl: 450, perAccount: 3, grace: 30, reusedAfter: 35 }

/** A session as it is promised. */
export interface ModelSession {
  readonly id: string
  readonly createdAt: number
  /** Every refresh token it ever had, by counter: the last one is current. */
  readonly tokens: string[]
  lastUsedAt: number
  repeats: number
  ended: boolean
}

export interface Model {
  now: number
  readonly sessions: ModelSession[]
}

export type Outcome = 'rotated' | 'repeated' | 'reused' | 'refused'

const expiresAt = ({ createdAt, lastUsedAt }: ModelSession) =>
  Math.min(lastUsedAt + LIMITS.idleTtl, createdAt + LIMITS.maxTtl)

export const isLive = (session: ModelSession, now: number) => !session.ended && now < expiresAt(session)

/** What is promised, as a table. A rotation is the last use of a session, so the grace counts from there. */
export function expected(session: ModelSession, counter: number, now: number): Outcome {
  const behind = session.tokens.length - 1 - counter
  if (!isLive(session, now) || behind < 0) return 'refused'
  if (behind === 0) return 'rotated'
  if (behind > 1 || now > session.lastUsedAt + LIMITS.reusedAfter) return 'reused'
  if (now > session.lastUsedAt + LIMITS.grace) return 'refused'
  return session.repeats < MAX_REPEATS ? 'repeated' : 'refused'
}

/** What an outcome does to a session. */
export function apply(session: ModelSession, outcome: Outcome, token: string | undefined, now: number): void {
  if (outcome === 'repeated') session.repeats += 1
  if (outcome === 'reused') session.ended = true
  if (outcome !== 'rotated' || token === undefined) return
  session.tokens.push(token)
  session.lastUsedAt = now
  session.repeats = 0
}

/** What one login more does to the others: the least recently used goes. */
export function makeRoom({ sessions, now }: Model): void {
  const live = sessions.filter((session) => isLive(session, now)).sort((a, b) => b.lastUsedAt - a.lastUsedAt)
  for (const session of live.slice(LIMITS.perAccount - 1)) session.ended = true
}
