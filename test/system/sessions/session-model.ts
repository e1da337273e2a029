import type { SessionLimits } from '../../../src/sessions/session.ts'

export const LIMITS: SessionLimits = { idleTtl: 300, maxTtl: 450, perAccount: 3, grace: 30, retry: 120 }

/** A session as it is promised. */
export interface ModelSession {
  readonly id: string
  readonly createdAt: number
  /** Every refresh token it ever had, by counter: the last one is current. */
  readonly tokens: string[]
  /** Which of them was shown for the next one, and when. */
  readonly exchanges: { readonly counter: number; readonly at: number }[]
  lastUsedAt: number
  ended: boolean
}

export interface Model {
  now: number
  readonly sessions: ModelSession[]
}

export type Outcome = 'rotated' | 'repeated' | 'retried' | 'ahead' | 'reused' | 'refused'

const expiresAt = ({ createdAt, lastUsedAt }: ModelSession) =>
  Math.min(lastUsedAt + LIMITS.idleTtl, createdAt + LIMITS.maxTtl)

export const isLive = (session: ModelSession, now: number) => !session.ended && now < expiresAt(session)

/** What is promised, as a table. */
export function expected(session: ModelSession, counter: number, now: number): Outcome {
  const behind = session.tokens.length - 1 - counter
  if (!isLive(session, now)) return 'refused'
  if (behind < 0) return 'ahead'
  if (behind === 0) return 'rotated'
  const shown = session.exchanges.findLast((exchange) => exchange.counter === counter)
  const newest = session.exchanges.at(-1)
  if (shown === undefined || newest === undefined) return 'reused' // it was lost, and another one took its place
  if (now - shown.at <= LIMITS.grace) return 'repeated'
  return newest.at - shown.at <= LIMITS.grace && now - shown.at <= LIMITS.retry ? 'retried' : 'reused'
}

/** What an outcome does to a session. */
export function apply(
  session: ModelSession,
  outcome: Outcome,
  { counter, token, now }: { counter: number; token: string | undefined; now: number },
): void {
  if (outcome === 'reused') session.ended = true
  if (!['rotated', 'retried', 'ahead'].includes(outcome) || token === undefined) return
  if (outcome === 'ahead') {
    // The tokens that the row missed count as exchanged now.
    for (let lost = session.tokens.length - 1; lost < counter; lost += 1)
      session.exchanges.push({ counter: lost, at: now })
    session.tokens.length = counter + 1
  }
  session.tokens.push(token)
  session.exchanges.push({ counter, at: now })
  session.lastUsedAt = now
}

/** What one login more does to the others: the least recently used goes. */
export function makeRoom({ sessions, now }: Model): void {
  const live = sessions.filter((session) => isLive(session, now)).sort((a, b) => b.lastUsedAt - a.lastUsedAt)
  for (const session of live.slice(LIMITS.perAccount - 1)) session.ended = true
}
