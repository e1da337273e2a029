import type { RequestSource } from '../audit/audit.ts'
import { networkOf } from '../limits/network.ts'
import { type Exchange, formatExchanges, MAX_EXCHANGES_CHARS, parseExchanges } from './exchanges.ts'
import type { SessionLimits } from './session.ts'

/** What the store knows of the refresh tokens of a session. Instants are epoch seconds. */
export interface RefreshState {
  readonly accountStatus: string
  readonly endedAt: number | null
  readonly expiresAt: number
  /** The counter of the current token. */
  readonly counter: number
  /** Tokens below this counter are from before a change of the password. */
  readonly validFrom: number
  /** When the current token was made. */
  readonly rotatedAt: number
  /** The last exchanges, as `exchanges.ts` writes them. */
  readonly exchanged: string
  /** How many rotations in a row were repeated by somebody else. */
  readonly foreignRepeats: number
  /** The current counter at the last of these repeats. */
  readonly foreignCounter: number
  /** Who made the last exchange. */
  readonly ip: string | null
  readonly userAgent: string | null
}

export type RefreshVerdict =
  /** The next token is made. `exchanged` is the list to store. */
  | { readonly kind: 'rotated' | 'retried' | 'ahead'; readonly exchanged: string }
  /** The current token is given again. `foreignRepeats` is there when this repeat has to be counted. */
  | { readonly kind: 'repeated'; readonly foreignRepeats?: number }
  /** The session ends. `foreignRepeats` is there when it ends because of these. */
  | { readonly kind: 'reused'; readonly foreignRepeats?: number }
  | { readonly kind: 'refused' }
  /** Too many exchanges at once. `retryIn`: seconds. */
  | { readonly kind: 'busy'; readonly retryIn: number }

/**
 * The rotation in a row that was also repeated from another network or by another user agent ends the session. A phone
 * that changes its network between a lost answer and its retry does so once or twice. Two who share a session and take
 * turns do so at each rotation.
 */
export const MAX_FOREIGN_REPEATS = 4

/** More than a client exchanges in the seconds that a failover may lose. */
const MAX_LOST_EXCHANGES = 8

type By = {
  readonly now: number
  readonly limits: Pick<SessionLimits, 'grace' | 'retry'>
  readonly source: Pick<RequestSource, 'ip' | 'userAgent'>
}

/**
 * Decides what a refresh token of a session leads to (RFC 9700 section 4.14.2). The checks stand in this order:
 *
 * 1. a session that is over, a token from before a change of the password: refused, and nothing ends;
 * 2. a token that is newer than the row: the row went back, and the token is the current one. From another network and
 *    another user agent than the row's, it may be one that was stolen, so the session ends;
 * 3. the current token: the next one, unless so many were exchanged within the grace that the list of them is full;
 * 4. a token that was exchanged within the grace, however many steps ago: the current one again;
 * 5. a token whose successor nobody has shown yet, from the user agent of the last exchange: one more time a new one;
 * 6. any other older token: somebody holds a copy, so the session ends.
 *
 * @param state the session, as it was read
 * @param counter of the token, whose HMAC was checked
 */
export function judgeRefresh(state: RefreshState, counter: number, by: By): RefreshVerdict {
  const { now, limits, source } = by
  if (state.endedAt !== null || state.expiresAt <= now || state.accountStatus !== 'active') return { kind: 'refused' }
  if (counter < state.validFrom) return { kind: 'refused' }
  const exchanges = exchangesOf(state)
  const recent = exchanges.filter(({ at }) => isWithin(limits.grace, at, now))
  // Our own key made it, so a store gave it away: after a failover, or in a restored backup, the row is older. What the
  // row lost may be a change of the password, which had killed this token.
  if (counter > state.counter && isElsewhere(state, by)) return { kind: 'reused' }
  if (counter > state.counter)
    return exchange('ahead', { at: now, counter }, [...lostExchanges(state, counter, now), ...recent], by)
  if (counter === state.counter) return exchange('rotated', { at: now, counter }, recent, by)
  if (recent.some((one) => one.counter === counter)) return repeat(state, source)
  const last = exchanges.find((one) => one.counter === counter)
  if (last !== undefined && isUnseen(last, exchanges, limits.grace) && mayRetry(state, last, by))
    return exchange('retried', { at: now, counter }, recent, by)
  return { kind: 'reused' }
}

/**
 * True when an instant is at most so many seconds before another. A later one counts as well: the clock may have been
 * set back. No seconds: never.
 */
const isWithin = (seconds: number, at: number, now: number): boolean => seconds > 0 && at >= now - seconds

/**
 * The exchanges of a session, the newest first. A server from before this list wrote only the time of the last one, and
 * may still do so during an upgrade.
 */
function exchangesOf({ counter, validFrom, rotatedAt, exchanged }: RefreshState): Exchange[] {
  const exchanges = parseExchanges(exchanged)
  const isMissing = counter > validFrom && exchanges[0]?.at !== rotatedAt
  return isMissing ? [{ at: rotatedAt, counter: counter - 1 }, ...exchanges] : exchanges
}

/**
 * The tokens between the row and one that is ahead of it. They were exchanged at an instant that is lost: a client may
 * still send one of them, as after any exchange, so they count as exchanged now.
 */
function lostExchanges(state: RefreshState, counter: number, now: number): Exchange[] {
  const lost = Math.min(counter - state.counter, MAX_LOST_EXCHANGES)
  return Array.from({ length: lost }, (_, index) => ({ at: now, counter: counter - 1 - index }))
}

function exchange(
  kind: 'rotated' | 'retried' | 'ahead',
  made: Exchange,
  recent: readonly Exchange[],
  by: By,
): RefreshVerdict {
  const { grace } = by.limits
  // What the clock dated far ahead before it was set back would fill the list until the clock gets there again.
  for (const list of [recent, recent.filter(({ at }) => at <= by.now + grace)]) {
    const exchanged = formatExchanges([made, ...list])
    if (exchanged.length <= MAX_EXCHANGES_CHARS) return { kind, exchanged }
  }
  // One that is still within the grace is never dropped: its token would be taken for a stolen one.
  const oldest = Math.min(...recent.map(({ at }) => at))
  return { kind: 'busy', retryIn: Math.min(Math.max(oldest + grace + 1 - by.now, 1), grace) }
}

/** The current token again. It is counted once per counter when somebody else made the last exchange. */
function repeat(state: RefreshState, source: By['source']): RefreshVerdict {
  const isForeign = source.userAgent !== state.userAgent || !isSameNetwork(source.ip, state.ip)
  if (!isForeign || state.foreignCounter === state.counter) return { kind: 'repeated' }
  const foreignRepeats = state.foreignRepeats + 1
  return { kind: foreignRepeats < MAX_FOREIGN_REPEATS ? 'repeated' : 'reused', foreignRepeats }
}

/** True when neither the network nor the user agent is that of the last exchange. */
const isElsewhere = ({ userAgent, ip }: RefreshState, { source }: By): boolean =>
  source.userAgent !== userAgent && !isSameNetwork(source.ip, ip)

const isSameNetwork = (one: string | null, other: string | null): boolean =>
  one === other || networkOf(one) === networkOf(other)

/**
 * True when nobody has shown the current token, and a client that shows this one may have missed it: it was the last
 * one that was exchanged, or still within the grace when that happened. Browsers get the answers of requests that they
 * sent at once in any order, and keep the cookie of the one that came last.
 */
function isUnseen(shown: Exchange, [newest]: readonly Exchange[], grace: number): boolean {
  return newest !== undefined && (newest === shown || isWithin(grace, shown.at, newest.at))
}

function mayRetry({ userAgent }: RefreshState, { at }: Exchange, { now, limits, source }: By): boolean {
  return isWithin(limits.retry, at, now) && source.userAgent === userAgent
}
