import { type Case, type Claims, change, HELD, ids, type Line, NOW, SKEW, upTo } from './cases.ts'

/** The second line is refused; the change of the first stays. */
function refused(name: string, why: string, reason: string, line: Line): Case {
  const first = change(10, 11, { sessions: ['s2'] })
  const after = upTo(11, {}, { sessions: ids('s1', 's2') })
  return { name, why, before: HELD, lines: [first, line, change(11, 13)], outcome: 'refused', reason, after }
}

const good = (claims: Claims = {}) => change(11, 12, { sessions: ['s3'], ...claims })
const claims = (name: string, why: string, wrong: Claims) => refused(name, why, 'claims', good(wrong))

export const REFUSALS: readonly Case[] = [
  refused('typ of the whole feed', 'It was signed as something else.', 'header', {
    ...good(),
    header: { typ: 'revocations+jwt' },
  }),
  refused('typ of a token', 'A token is never a document of the feed.', 'header', {
    ...good(),
    header: { typ: 'at+jwt' },
  }),
  refused('no typ', 'What a document is has to be said.', 'header', { ...good(), header: { typ: undefined } }),
  refused('alg none', 'Nobody signed it.', 'header', { ...good(), header: { alg: 'none' }, signedBy: 'nobody' }),
  refused('HS256 with the public key', 'The public key is no secret.', 'header', {
    ...good(),
    header: { alg: 'HS256' },
    signedBy: 'public key as a secret',
  }),
  refused('crit in the header', 'An extension that the follower does not know.', 'header', {
    ...good(),
    header: { crit: ['b64'], b64: false },
  }),
  refused('tampered', 'One character of the payload was changed on the way.', 'signature', {
    ...good(),
    isTampered: true,
  }),
  refused('another issuer', 'A key may serve two issuers, and their numbers have nothing in common.', 'issuer', {
    ...good({ iss: 'https://other.example.com' }),
  }),
  refused('an issuer with a slash', 'The issuer is compared letter by letter.', 'issuer', {
    ...good({ iss: 'https://auth.example.com/' }),
  }),
  refused('dated in the future', 'More than two clocks may differ.', 'dates', good({ iat: NOW + SKEW + 1 })),
  refused('fresh for too long', 'No document is fresh for more than an hour.', 'dates', good({ exp: NOW + 3601 })),
  claims('seq as text', 'Numbers are numbers.', { seq: '12' }),
  claims('seq with a fraction', 'Numbers are whole.', { seq: 12.5 }),
  claims('a negative number', 'Numbers begin at 0.', { after: -1 }),
  claims('a huge number', 'Beyond 2^53 - 1 two numbers could look equal.', { seq: 2 ** 53 }),
  claims('numbers that run backward', 'A change ends where it begins, or later.', { after: 14, seq: 12 }),
  claims('no history', 'Without it nobody can tell that the store went back.', { history: undefined }),
  claims('no cursor', 'The follower could not go on.', { cursor: undefined }),
  claims('a cursor that can not stand in a URL', 'It is sent back as it is.', { cursor: 'a&wait=0' }),
  claims('sessions as an object', 'A list was expected.', { sessions: { s3: 1 } }),
  claims('accounts as a list', 'An object was expected.', { accounts: ['a3'] }),
  claims('a version as text', 'Comparing it with a number would mean nothing.', { accounts: { a3: '4' } }),
  claims('an id of 256 characters', 'Ids have at most 255.', { sessions: ['s'.repeat(256)] }),
  claims('an id that is no text', 'Ids are texts.', { tokens: [7] }),
  claims('a page without pages', 'Nobody could tell when the whole is complete.', { page: 1, whole: 'w1', after: 0 }),
  claims('a page of a change', 'Only a whole has pages.', { page: 1, pages: 1, whole: 'w1' }),
  claims('a page without whole', 'Nobody could tell which pages belong together.', { page: 1, pages: 1, after: 0 }),
  claims('a change with whole', 'Only pages have one.', { whole: 'w1' }),
  {
    name: 'dates at the edge',
    why: 'Two clocks may differ by 5 seconds, and a document may be fresh for an hour.',
    before: HELD,
    lines: [change(10, 12, { iat: NOW + SKEW, exp: NOW + SKEW + 3600 })],
    outcome: 'applied',
    after: upTo(12, { iat: NOW + SKEW, exp: NOW + SKEW + 3600 }),
  },
  {
    name: 'an empty answer',
    why: 'Every answer has a document.',
    before: HELD,
    lines: [],
    outcome: 'refused',
    reason: 'cut',
    after: HELD,
  },
  {
    name: 'half a line',
    why: 'The connection broke within the second document; the first one stays.',
    before: HELD,
    lines: [change(10, 11, { sessions: ['s2'] }), change(11, 12, { sessions: ['s3'] })],
    end: 'half a line',
    outcome: 'refused',
    reason: 'cut',
    after: upTo(11, {}, { sessions: ids('s1', 's2') }),
  },
  {
    name: 'a last line without its end',
    why: 'Each document is ended by a line feed: without it nobody can tell that it is complete.',
    before: HELD,
    lines: [change(10, 11, { sessions: ['s2'] })],
    end: 'no line feed',
    outcome: 'refused',
    reason: 'cut',
    after: HELD,
  },
  {
    name: 'an empty line',
    why: 'It is no document.',
    before: HELD,
    lines: [change(10, 11, { sessions: ['s2'] })],
    end: 'an empty line',
    outcome: 'refused',
    reason: 'header',
    after: upTo(11, {}, { sessions: ids('s1', 's2') }),
  },
]
