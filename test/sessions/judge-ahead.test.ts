import t from 'tap'
import { judgeRefresh, type RefreshState, type RefreshVerdict } from '../../src/sessions/judge-refresh.ts'
import { HOME, NOW, STATE } from '../support/refresh-state.ts'

// What a refresh token leads to whose row went back: a failover to a standby that missed the last transactions.

const elsewhere = { ip: '198.51.100.1', userAgent: 'B' }
const sameNetwork = { ip: '2001:db8::2', userAgent: 'B' }

const judge = (counter: number, state: Partial<RefreshState> = {}, source = HOME) =>
  judgeRefresh({ ...STATE, ...state }, counter, { now: NOW, limits: { grace: 10, retry: 1000 }, source })
const ahead = (...exchanges: string[]) =>
  ({ kind: 'ahead', exchanged: exchanges.map((one) => `${one},`).join('') }) as const
const at = (seconds: number, ...counters: number[]) => counters.map((counter) => `${NOW - seconds}:${counter}`)
const recent = [...at(2, 4), ...at(8, 3)]
const after = (seconds: number) => ({
  counter: 7,
  rotatedAt: NOW - seconds,
  exchanged: [...at(seconds, 6, 5), ''].join(','),
})

const CASES: [what: string, verdict: RefreshVerdict, found: RefreshVerdict][] = [
  ['newer than the row by one', ahead(...at(0, 6, 5), ...recent), judge(6)],
  ['by three', ahead(...at(0, 8, 7, 6, 5), ...recent), judge(8)],
  [
    'by many: the last ones between count as exchanged',
    ahead(...at(0, 90, 89, 88, 87, 86, 85, 84, 83, 82)),
    judge(90, { rotatedAt: NOW - 60, exchanged: `${NOW - 60}:4,` }),
  ],
  ['from another network', ahead(...at(0, 6, 5), ...recent), judge(6, {}, { ...HOME, ip: '198.51.100.1' })],
  ['from another user agent', ahead(...at(0, 6, 5), ...recent), judge(6, {}, { ...HOME, userAgent: 'B' })],
  ['from another of both: perhaps stolen', { kind: 'reused' }, judge(6, {}, elsewhere)],
  ['from the same /64', ahead(...at(0, 6, 5), ...recent), judge(6, { ip: '2001:db8::1' }, sameNetwork)],
  ['from elsewhere, before a change of the password', { kind: 'refused' }, judge(6, { validFrom: 7 }, elsewhere)],
  ['of a session that ended', { kind: 'refused' }, judge(6, { endedAt: NOW - 1 })],
  ['of one that expired', { kind: 'refused' }, judge(6, { expiresAt: NOW })],
  ['of a suspended account', { kind: 'refused' }, judge(6, { accountStatus: 'suspended' })],
  ['from before a change of the password', { kind: 'refused' }, judge(6, { validFrom: 7 })],
  ['afterwards, the token of the row', { kind: 'repeated' }, judge(5, after(3))],
  ['and beyond the grace and the retry', { kind: 'reused' }, judge(5, after(1100))],
]

for (const [what, verdict, found] of CASES) t.same(found, verdict, what)
