import type { Clock } from '../clock.ts'
import { networkOf } from '../limits/network.ts'
import type { IsKnownNetwork } from '../limits/password-attempts.ts'
import type { SessionStore } from './session-store.ts'

/** Tells whether an account has a live session from a network. */
export function createIsKnownNetwork(parts: { sessions: Pick<SessionStore, 'list'>; now: Clock }): IsKnownNetwork {
  return async (accountId, network) => {
    const live = await parts.sessions.list(accountId, parts.now())
    return live.some(({ ip }) => ip !== null && networkOf(ip) === network)
  }
}
