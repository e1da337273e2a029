import type { RefreshState } from '../../src/sessions/judge-refresh.ts'

export const NOW = 1_800_000_000
export const HOME = { ip: '192.0.2.1', userAgent: 'Owner/1' }

/** A session at counter 5: its tokens 2, 3 and 4 were exchanged 30, 8 and 2 seconds ago. */
export const STATE: RefreshState = {
  accountStatus: 'active',
  endedAt: null,
  expiresAt: NOW + 1000,
  counter: 5,
  validFrom: 0,
  rotatedAt: NOW - 2,
  exchanged: `${NOW - 2}:4,${NOW - 8}:3,${NOW - 30}:2,`,
  foreignRepeats: 0,
  foreignCounter: -1,
  ...HOME,
}
