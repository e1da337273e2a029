import { type Case, change, floor, HELD, ids, NONE, NOW, page, type State, UNTIL, upTo } from './cases.ts'

/** A follower of history h2 that was left h1 with what `HELD` refuses. */
const MOVED: State = {
  ...upTo(8, { history: 'h2', left: ['h1'], kept: HELD.revoked }),
  revoked: { ...NONE, sessions: ids('s2') },
}

export const HISTORIES: readonly Case[] = [
  {
    name: 'another history with a higher number',
    why: 'Numbers of two histories can not be compared: it is taken, and what was refused stays refused.',
    before: HELD,
    lines: [page(1, 1, 20, { history: 'h2', sessions: ['s2'] })],
    outcome: 'applied',
    after: { ...MOVED, ...{ seq: 20, cursor: 'h2.20' } },
  },
  {
    name: 'another history with a lower number and the same date',
    why: 'The store went back a moment ago: dates are rounded, so they may be equal, and it is taken at once.',
    before: HELD,
    lines: [page(1, 1, 8, { history: 'h2', sessions: ['s2'], iat: HELD.iat, exp: HELD.exp })],
    outcome: 'applied',
    after: { ...MOVED, iat: HELD.iat, exp: HELD.exp },
  },
  {
    name: 'another history that was never followed, dated a little earlier',
    why: 'Clocks of two servers differ: a history that was never left is taken whatever its date.',
    before: HELD,
    lines: [page(1, 1, 8, { history: 'h2', sessions: ['s2'], iat: NOW - 60, exp: NOW + 3 })],
    outcome: 'applied',
    after: { ...MOVED, iat: NOW - 60, exp: NOW + 3 },
  },
  {
    name: 'a late answer of the history that was left',
    why: 'A server that has not noticed yet: older by date, and left before, so it is ignored.',
    before: MOVED,
    lines: [page(1, 1, 30, { history: 'h1', sessions: ['s3'], iat: NOW - 30, exp: NOW + 30 })],
    outcome: 'ignored',
    after: MOVED,
  },
  {
    name: 'the history that was left is back',
    why: 'Not older by date: the old store serves again, and both sets are refused.',
    before: MOVED,
    lines: [page(1, 1, 30, { history: 'h1', sessions: ['s3'] })],
    outcome: 'applied',
    after: {
      ...upTo(30, { left: ['h2'] }),
      revoked: { ...NONE, sessions: ids('s3') },
      kept: { ...HELD.revoked, sessions: ids('s1', 's2') },
    },
  },
  {
    name: 'a change of another history',
    why: 'Its number says nothing about this copy: ask with 0.',
    before: HELD,
    lines: [change(10, 12, { history: 'h2', sessions: ['s2'] })],
    outcome: 'gap',
    after: { ...HELD, cursor: null },
  },
  {
    name: 'another history, and changes after it',
    why: 'The changes go on from the whole before them.',
    before: HELD,
    lines: [page(1, 1, 8, { history: 'h2', sessions: ['s2'] }), change(8, 9, { history: 'h2', tokens: ['t1'] })],
    outcome: 'applied',
    after: { ...MOVED, seq: 9, cursor: 'h2.9', revoked: { ...NONE, sessions: ids('s2'), tokens: ids('t1') } },
  },
  {
    name: 'an incomplete whole of another history',
    why: 'It does not take the place of anything.',
    before: HELD,
    lines: [page(1, 2, 20, { history: 'h2', sessions: ['s2'] })],
    outcome: 'refused',
    reason: 'cut',
    after: HELD,
  },
  {
    name: 'a lower version in the new history',
    why: 'What the old history refused stays refused: the version of a1 stays 3 beside the new 2.',
    before: HELD,
    lines: [page(1, 1, 8, { history: 'h2', accounts: { a1: 2 } })],
    outcome: 'applied',
    after: { ...MOVED, revoked: { ...NONE, accounts: { a1: floor(2, 8) } } },
  },
  {
    name: 'a third history',
    why: 'Of the histories that were left the stricter version is kept, for as long as either of them says.',
    before: {
      ...MOVED,
      revoked: {
        ...NONE,
        sessions: { s1: UNTIL + 50, s2: UNTIL },
        accounts: { a1: floor(2, 8, UNTIL + 50), a2: floor(null, 8) },
      },
      kept: { ...NONE, sessions: { s1: UNTIL }, accounts: { a1: floor(3, 10), a2: floor(7, 10) } },
    },
    lines: [page(1, 1, 4, { history: 'h3' })],
    outcome: 'applied',
    after: {
      ...upTo(4, { history: 'h3', left: ['h1', 'h2'] }),
      revoked: NONE,
      kept: {
        ...NONE,
        sessions: { s1: UNTIL + 50, s2: UNTIL },
        accounts: { a1: floor(3, 10, UNTIL + 50), a2: floor(null, 8) },
      },
    },
  },
]
