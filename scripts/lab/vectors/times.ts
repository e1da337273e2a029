import { type Case, change, floor, HELD, ids, NONE, NOW, page, UNTIL, upTo } from './cases.ts'

/** The longest life of a token, twice the most that clocks may differ, and a day. */
const CEILING_SECONDS = 900 + 2 * 60 + 86_400

export const TIMES: readonly Case[] = [
  {
    name: 'entries are forgotten at their end',
    why: 'No token that they could hit is alive. An entry whose end is a second away stays.',
    before: {
      ...HELD,
      revoked: {
        ...NONE,
        sessions: { s1: NOW, s2: NOW + 1 },
        accounts: { a1: floor(3, 10, NOW), a2: floor(3, 10, NOW + 1) },
      },
      kept: { ...NONE, tokens: { t1: NOW, t2: NOW + 1 }, clients: { c1: floor(null, 4, NOW) } },
    },
    lines: [change(10, 10)],
    outcome: 'applied',
    after: upTo(10, {
      revoked: { ...NONE, sessions: { s2: NOW + 1 }, accounts: { a2: floor(3, 10, NOW + 1) } },
      kept: { ...NONE, tokens: { t2: NOW + 1 } },
    }),
  },
  {
    name: 'an entry that comes again with an earlier end',
    why: 'It is kept for as long as the latest of its documents says.',
    before: HELD,
    lines: [change(10, 12, { sessions: ['s1'], accounts: { a1: 4 }, until: UNTIL - 100 })],
    outcome: 'applied',
    after: upTo(12, {}, { accounts: { a1: floor(4, 12) } }),
  },
  {
    name: 'an entry that comes again with a later end',
    why: 'The same.',
    before: HELD,
    lines: [change(10, 12, { sessions: ['s1'], accounts: { a1: 4 }, until: UNTIL + 100 })],
    outcome: 'applied',
    after: upTo(12, {}, { sessions: { s1: UNTIL + 100 }, accounts: { a1: floor(4, 12, UNTIL + 100) } }),
  },
  {
    name: 'an end in the far future',
    why: 'A follower must not keep entries for ever: it keeps them for a day longer than any token lives.',
    before: HELD,
    lines: [change(10, 12, { sessions: ['s2'], until: 253_402_300_799 })],
    outcome: 'applied',
    after: upTo(12, {}, { sessions: { s1: UNTIL, s2: NOW + CEILING_SECONDS } }),
  },
  {
    name: 'entries without an end',
    why: 'They are kept for as long as entries may be kept.',
    before: HELD,
    lines: [change(10, 12, { sessions: ['s2'], until: undefined })],
    outcome: 'applied',
    after: upTo(12, {}, { sessions: { s1: UNTIL, s2: NOW + CEILING_SECONDS } }),
  },
  {
    name: 'the clock of the follower was set back',
    why: 'The dates of the copy are no measure any more, so those of the document count. Numbers still count.',
    before: { ...HELD, iat: NOW + 3600, exp: NOW + 3660 },
    lines: [change(10, 10)],
    outcome: 'applied',
    after: upTo(10),
  },
  {
    name: 'the clock was set back, and an older whole',
    why: 'Within one history the number decides, whatever the clock says.',
    before: { ...HELD, iat: NOW + 3600, exp: NOW + 3660 },
    lines: [page(1, 1, 9, { sessions: ['s2'] })],
    outcome: 'ignored',
    after: { ...HELD, iat: NOW + 3600, exp: NOW + 3660 },
  },
  {
    name: 'the clock was set back, and a history that was left',
    why: 'Its date can not be compared with one from a clock that was wrong: it is taken.',
    before: { ...HELD, left: ['h2'], iat: NOW + 3600, exp: NOW + 3660 },
    lines: [page(1, 1, 9, { history: 'h2', sessions: ['s2'], iat: NOW - 60, exp: NOW + 1 })],
    outcome: 'applied',
    after: {
      ...upTo(9, { history: 'h2', left: ['h1'], iat: NOW - 60, exp: NOW + 1, kept: HELD.revoked }),
      revoked: { ...NONE, sessions: ids('s2') },
    },
  },
  {
    name: 'a renewal that is older than the copy',
    why: 'A late answer: freshness does not go back.',
    before: { ...HELD, iat: NOW, exp: NOW + 60 },
    lines: [change(10, 10, { iat: NOW - 30, exp: NOW + 30 })],
    outcome: 'applied',
    after: upTo(10),
  },
]
