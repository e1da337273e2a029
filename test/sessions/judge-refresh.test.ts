import t from 'tap'
import { formatExchanges, MAX_EXCHANGES_CHARS } from '../../src/sessions/exchanges.ts'
import {
  judgeRefresh,
  MAX_FOREIGN_REPEATS,
  type RefreshState,
  type RefreshVerdict,
} from '../../src/sessions/judge-refresh.ts'
import { HOME, NOW, STATE } from '../support/refresh-state.ts'

// What a refresh token leads to, as a function of the session's row.

const limits = { grace: 10, retry: 1000 }

/** The session after its token 4 was exchanged so many seconds ago, and token 3 before it. */
const after = (seconds: number, more: Partial<RefreshState> = {}): RefreshState => ({
  ...STATE,
  rotatedAt: NOW - seconds,
  exchanged: `${NOW - seconds}:4,${NOW - seconds - 5}:3,${NOW - seconds - 11}:2,`,
  ...more,
})

interface Case {
  readonly state?: Partial<RefreshState>
  readonly counter: number
  readonly limits?: Partial<typeof limits>
  readonly source?: Partial<{ ip: string | null; userAgent: string | null }>
  readonly verdict: RefreshVerdict
}

const judge = ({ state, counter, source, ...other }: Omit<Case, 'verdict'>) =>
  judgeRefresh({ ...STATE, ...state }, counter, {
    now: NOW,
    limits: { ...limits, ...other.limits },
    source: { ...HOME, ...source },
  })

const refused = { kind: 'refused' } as const
const repeated = { kind: 'repeated' } as const
const reused = { kind: 'reused' } as const
const rotated = (...more: string[]) => ({ kind: 'rotated', exchanged: [`${NOW}:5,`, ...more].join('') }) as const
const retried = (counter: number, ...more: string[]) =>
  ({ kind: 'retried', exchanged: [`${NOW}:${counter},`, ...more].join('') }) as const
const foreign = { ip: '198.51.100.1' }

const CASES: Record<string, Case> = {
  'a session that ended': { state: { endedAt: NOW - 1 }, counter: 5, verdict: refused },
  'a session that ended, an old token': { state: { endedAt: NOW - 1 }, counter: 1, verdict: refused },
  'a session that expires now': { state: { expiresAt: NOW }, counter: 5, verdict: refused },
  'a session with a second left': { state: { expiresAt: NOW + 1 }, counter: 4, verdict: repeated },
  'an account that is suspended': { state: { accountStatus: 'suspended' }, counter: 5, verdict: refused },
  'before a change of the password': { state: { validFrom: 5 }, counter: 4, verdict: refused },
  'the first one after it': { state: { validFrom: 4 }, counter: 4, verdict: repeated },
  'before it, long ago': { state: { validFrom: 5, exchanged: '' }, counter: 0, verdict: refused },

  'the current one keeps what is within the grace': {
    counter: 5,
    verdict: rotated(`${NOW - 2}:4,`, `${NOW - 8}:3,`),
  },
  'the current one, without a grace': { counter: 5, limits: { grace: 0 }, verdict: rotated() },

  'one step back': { counter: 4, verdict: repeated },
  'two steps back, within the grace': { counter: 3, verdict: repeated },
  'one step back at the last instant': { state: after(10), counter: 4, verdict: repeated },
  'one step back, a second later': { state: after(11), counter: 4, verdict: retried(4) },
  'one step back, from a clock that is ahead': { state: after(-3), counter: 4, verdict: repeated },
  'three steps back, beyond the grace of it and of the last exchange': { counter: 2, verdict: reused },
  'one that was never exchanged': { counter: 1, verdict: reused },

  'lost, at the last instant of the retry': { state: after(1000), counter: 4, verdict: retried(4) },
  'lost, a second later': { state: after(1001), counter: 4, verdict: reused },
  'lost, from another network': { state: after(60), counter: 4, source: foreign, verdict: retried(4) },
  'lost, from another agent': { state: after(60), counter: 4, source: { userAgent: 'B' }, verdict: reused },
  'lost, without an agent': { state: after(60), counter: 4, source: { userAgent: null }, verdict: reused },
  'lost, twice without an agent': {
    state: after(60, { userAgent: null }),
    counter: 4,
    source: { userAgent: null },
    verdict: retried(4),
  },
  'lost, without a retry': { state: after(60), counter: 4, limits: { retry: 0 }, verdict: reused },
  'lost, without a grace': { state: after(0), counter: 4, limits: { grace: 0 }, verdict: retried(4) },
  'without grace and retry': { state: after(0), counter: 4, limits: { grace: 0, retry: 0 }, verdict: reused },
  'one more back, of requests at once': { state: after(60), counter: 3, verdict: retried(3) },
  'one more back, but not of those at once': { state: after(60), counter: 2, verdict: reused },
  'one more back, without a grace': { state: after(60), counter: 3, limits: { grace: 0 }, verdict: reused },
  'one more back in the same second, without a grace': {
    state: { exchanged: `${NOW}:4,${NOW}:3,`, rotatedAt: NOW },
    counter: 3,
    limits: { grace: 0 },
    verdict: reused,
  },
  'retried before': {
    state: { counter: 6, rotatedAt: NOW - 60, exchanged: `${NOW - 60}:4,${NOW - 90}:4,` },
    counter: 4,
    verdict: retried(4),
  },
  'lost, and dead since the retry': {
    state: { counter: 6, rotatedAt: NOW - 60, exchanged: `${NOW - 60}:4,${NOW - 90}:4,` },
    counter: 5,
    verdict: reused,
  },
  'lost, and dead since the retry of just now': {
    state: { counter: 6, rotatedAt: NOW, exchanged: `${NOW}:4,${NOW - 60}:4,` },
    counter: 5,
    verdict: reused,
  },
  'a retry keeps what is within the grace': {
    state: { rotatedAt: NOW - 4, exchanged: `${NOW - 4}:4,${NOW - 12}:3,` },
    counter: 3,
    verdict: retried(3, `${NOW - 4}:4,`),
  },

  'a row from before the list': { state: { exchanged: '' }, counter: 4, verdict: repeated },
  'a row from before the list, long ago': { state: after(60, { exchanged: '' }), counter: 4, verdict: retried(4) },
  'a row from before the list, two back': { state: { exchanged: '' }, counter: 3, verdict: reused },
  'a rotation by a server that knows no list': { state: { exchanged: `${NOW - 5}:3,` }, counter: 4, verdict: repeated },
  'no such rotation after a change of the password': {
    state: { exchanged: '', validFrom: 5 },
    counter: 5,
    verdict: rotated(),
  },
  'a list that is damaged': {
    state: { exchanged: `${NOW - 2}:4,x:3,1800000000,:,-1:2,${NOW}:` },
    counter: 4,
    verdict: repeated,
  },

  'another network': { counter: 4, source: foreign, verdict: { ...repeated, foreignRepeats: 1 } },
  'another agent': { counter: 4, source: { userAgent: 'B' }, verdict: { ...repeated, foreignRepeats: 1 } },
  'no address': { counter: 4, source: { ip: null }, verdict: { ...repeated, foreignRepeats: 1 } },
  'another address of the same /64': {
    state: { ip: '2001:db8::1' },
    counter: 4,
    source: { ip: '2001:db8::ffff' },
    verdict: repeated,
  },
  'another network, counted for this counter': {
    state: { foreignRepeats: 2, foreignCounter: 5 },
    counter: 4,
    source: foreign,
    verdict: repeated,
  },
  'another network, counted before': {
    state: { foreignRepeats: 2, foreignCounter: 4 },
    counter: 4,
    source: foreign,
    verdict: { ...repeated, foreignRepeats: 3 },
  },
  'another network once too often': {
    state: { foreignRepeats: MAX_FOREIGN_REPEATS - 1, foreignCounter: 4 },
    counter: 4,
    source: foreign,
    verdict: { ...reused, foreignRepeats: MAX_FOREIGN_REPEATS },
  },
  'the same network after others': { state: { foreignRepeats: 3, foreignCounter: 4 }, counter: 4, verdict: repeated },
}

for (const [name, { verdict, ...given }] of Object.entries(CASES)) t.same(judge(given), verdict, name)

t.test('what was dated ahead before the clock was set back makes nobody wait', async (t) => {
  const most = Math.floor(MAX_EXCHANGES_CHARS / '1800003600:900,'.length)
  const ahead = Array.from({ length: most - 1 }, (_, index) => ({ at: NOW + 3600, counter: 900 - index }))
  const exchanged = formatExchanges([{ at: NOW - 1, counter: 901 }, ...ahead])
  const state = { counter: 902, rotatedAt: NOW - 1, exchanged }
  t.same(judge({ state, counter: 902 }), { kind: 'rotated', exchanged: `${NOW}:902,${NOW - 1}:901,` })
  t.same(judge({ state, counter: 900 }), repeated, 'such a token gets the current one again')
})

t.test('a full list is busy until its oldest entry is beyond the grace, and then it has room again', async (t) => {
  const entries = (at: number, count: number) =>
    formatExchanges(Array.from({ length: count }, () => ({ at, counter: 4 })))
  const most = Math.floor(MAX_EXCHANGES_CHARS / '1800000000:4,'.length)
  const full = (at: number) => ({ exchanged: entries(at, most), rotatedAt: at })
  for (const [at, retryIn] of [
    [NOW, 10],
    [NOW - 7, 4],
    [NOW - 10, 1],
    [NOW + 10, 10],
  ] as const)
    t.same(judge({ state: full(at), counter: 5 }), { kind: 'busy', retryIn }, `${at - NOW}`)
  t.same(judge({ state: full(NOW - 11), counter: 5 }), rotated())
  t.same(judge({ state: full(NOW + 3600), counter: 5 }), rotated(), 'dated before the clock was set back')
  t.same(judge({ state: full(NOW), counter: 4 }), repeated, 'a repeat needs no room')
  t.same(judge({ state: { exchanged: entries(NOW, most), rotatedAt: NOW }, counter: 5 }).kind, 'busy')
  t.same(judge({ state: { exchanged: entries(NOW, most - 1), rotatedAt: NOW }, counter: 5 }).kind, 'rotated')
})
