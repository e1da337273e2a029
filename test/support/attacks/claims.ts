import { type Mint, Raw } from '../mint.ts'
import { type Attack, shown, type Target } from './corpus.ts'

/** Far more than any clock skew that a verifier may be set to, in seconds. */
const FAR = 120

/**
 * Correctly signed tokens that say something a verifier must not accept: each differs from a good one in what its
 * name says.
 */
export function claimAttacks({ mint }: Target): Attack[] {
  return [
    ...absent(mint),
    ...mistyped(mint),
    ...mistimed(mint),
    ...misdirected(mint),
    ...bound(mint),
    ...smuggled(mint),
  ]
}

const NO_TEXT: readonly unknown[] = [
  null,
  true,
  false,
  0,
  1,
  1.5,
  '',
  [],
  ['x'],
  [['x']],
  {},
  { $ne: null },
  { toString: 'x' },
  'x'.repeat(256),
]
/** Blank, or with a character in it that logs, stores and people do not see. */
const UNCLEAN: readonly unknown[] = [
  ...[
    ' ',
    '\u00a0\u3000',
    '\u0000',
    'root\u0000',
    '\u0000root',
    'a\nb',
    '\troot',
    'a\u001b[2Jb',
    'a\u007f',
    'a\u0080b',
  ],
  ...['\u009f', 'a\u2028b', '\u2029a', new Raw('"\\ud800"'), new Raw('"root\\udc00"'), new Raw('"\\u0000"')],
]
const NO_IDENTIFIER: readonly unknown[] = [...NO_TEXT, ...UNCLEAN]
const NO_TIME: readonly unknown[] = [
  null,
  true,
  false,
  '',
  '0',
  'soon',
  '1999999999',
  '2030-01-01T00:00:00Z',
  [],
  [1],
  {},
  { $gt: 0 },
]
const NO_INTEGER = [
  ...['-1', '-0.5', '1e308', '1e999', '-1e999', '9007199254740993', '1e17'].map((text) => new Raw(text)),
]

const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  iss: NO_IDENTIFIER,
  aud: [...NO_IDENTIFIER.filter((value) => !Array.isArray(value)), [], [''], [null], [[]], [{}], [1]],
  sub: NO_IDENTIFIER,
  client_id: NO_IDENTIFIER,
  jti: NO_IDENTIFIER,
  sid: NO_IDENTIFIER,
  iat: [...NO_TIME, ...NO_INTEGER],
  exp: [...NO_TIME, ...NO_INTEGER],
  nbf: [...NO_TIME, ...NO_INTEGER],
  auth_time: [...NO_TIME, ...NO_INTEGER],
  token_version: [...NO_TIME, ...NO_INTEGER],
  scope: [...NO_TEXT.filter((value) => typeof value !== 'string'), 'x'.repeat(2049)],
  roles: [
    null,
    true,
    0,
    '',
    'admin',
    {},
    { 0: 'admin' },
    [''],
    [null],
    [1],
    [['admin']],
    [{}],
    ['x'.repeat(65)],
    Array(33).fill('x'),
  ],
}

function absent(mint: Mint): Attack[] {
  const required = Object.keys(mint.claims)
  return [
    ...required.map((name) => ({ name: `no ${name}`, token: mint.token({ claims: { [name]: undefined } }) })),
    { name: 'no claim at all', token: mint.token({ claims: '{}' }) },
    { name: 'names in capitals', token: mint.token({ claims: new Raw(JSON.stringify(mint.claims).toUpperCase()) }) },
    {
      name: 'all claims one level down',
      token: mint.token({ claims: new Raw(JSON.stringify({ claims: mint.claims })) }),
    },
  ]
}

function mistyped(mint: Mint): Attack[] {
  return Object.entries(WRONG).flatMap(([name, values]) =>
    values.map((value) => ({
      name: `${name} ${shown(value instanceof Raw ? value.text : value)}`,
      token: mint.token({ claims: { [name]: value } }),
    })),
  )
}

function mistimed(mint: Mint): Attack[] {
  const { now } = mint
  const expired = { iat: now - FAR - 600, exp: now - FAR }
  const good: [string, object][] = [
    ['a minute after its end', expired],
    ['a day after its end', { iat: now - 87_000, exp: now - 86_400 }],
    ['in 1970', { iat: 0, exp: 1 }],
  ]
  const bad: [string, object][] = [
    ['expired and for somebody else', { ...expired, aud: 'https://other.example' }],
    ['expired and from somebody else', { ...expired, iss: 'https://other.example' }],
    ['expired and without sub', { ...expired, sub: undefined }],
    ['expired and bound to a key', { ...expired, cnf: { jkt: 'x' } }],
    ['expired and longer than the maximum', { iat: now - 87_000, exp: now - FAR }],
    ['ended before it began, in the past', { iat: now, exp: now - FAR }],
    ['ended before it began, in the future', { iat: now + 60, exp: now + 30 }],
    ['ended when it began', { iat: now, exp: now }],
    ['a fraction of a second in exp', { exp: now + 300.5 }],
    ['a fraction of a second in iat', { iat: now - 0.5 }],
    ['milliseconds in exp', { exp: (now + 600) * 1000 }],
    ['milliseconds in both', { iat: now * 1000, exp: (now + 600) * 1000 }],
    ['one second over the maximum', { iat: now, exp: now + 901 }],
    ['a lifetime of a day', { exp: now + 86_400 }],
    ['a lifetime of ten years', { exp: now + 315_360_000 }],
    ['a lifetime since 1970', { iat: 0 }],
    ['not issued yet', { iat: now + FAR, exp: now + FAR + 600 }],
    ['not issued for a year', { iat: now + 31_536_000, exp: now + 31_536_600 }],
    ['not valid yet', { nbf: now + FAR }],
    ['not valid before 275760', { nbf: 8.64e12 }],
    ['not valid within what Date can say', { nbf: 8_640_000_000_001 }],
    ['exp beyond what Date can say', { exp: 8_640_000_000_001 }],
  ]
  return [
    ...good.map(([name, claims]) => ({ name, token: mint.token({ claims }), code: 'token_expired' as const })),
    ...bad.map(([name, claims]) => ({ name, token: mint.token({ claims }) })),
  ]
}

/** Good tokens of somebody else, and of us for somebody else (RFC 8725 sections 3.8, 3.9). */
function misdirected({ token, issuer, audience }: Mint): Attack[] {
  const near = (text: string) => [
    ...[`${text}/`, `${text} `, ` ${text}`, `${text}\0`, `${text}#`, `${text}?`, `${text}.evil.example`, `${text}\n`],
    ...[
      text.toUpperCase(),
      text.slice(0, -1),
      text.slice(1),
      `x${text}`,
      text.replace('://', ':///'),
      text.replace('http', 'https'),
    ],
  ]
  const iss = [
    ...near(issuer),
    'https://other.example',
    `${issuer} https://other.example`,
    [issuer],
    [issuer, 'x'],
    { 0: issuer },
    '.*',
    '*',
  ]
  const aud = [
    ...[...near(audience), 'https://other.example', `${audience} https://other.example`, `${audience},x`, '.*', '*'],
    ...[
      ['https://other.example'],
      near(audience),
      [[audience]],
      [audience, 1],
      [audience, null],
      [audience, ''],
      [null, audience],
    ],
    ...[{ 0: audience }, { [audience]: true }, [{ aud: audience }], [...Array(32).fill('x'), audience]],
  ]
  return [
    ...iss.map((value) => ({ name: `iss ${shown(value)}`, token: token({ claims: { iss: value } }) })),
    ...aud.map((value) => ({ name: `aud ${shown(value)}`, token: token({ claims: { aud: value } }) })),
  ]
}

/** RFC 7800: a token bound to a key is no bearer token. */
function bound(mint: Mint): Attack[] {
  const values = [{ jkt: 'x' }, { 'x5t#S256': 'x' }, { jwk: {} }, { kid: mint.kid }, {}, null, '', false, 0, []]
  return values.map((cnf) => ({ name: `cnf ${shown(cnf)}`, token: mint.token({ claims: { cnf } }) }))
}

/** Claims that arrive as an inherited member, or twice: of two the last one counts. */
function smuggled(mint: Mint): Attack[] {
  const good = JSON.stringify(mint.claims)
  const later = (member: string) => ({
    name: `then ${member}`,
    token: mint.token({ claims: new Raw(`${good.slice(0, -1)},${member}}`) }),
  })
  return [
    { name: 'claims that __proto__ brings', token: mint.token({ claims: new Raw(`{"__proto__":${good}}`) }) },
    {
      name: 'claims that constructor brings',
      token: mint.token({ claims: new Raw(`{"constructor":{"prototype":${good}}}`) }),
    },
    {
      name: 'sub that __proto__ brings',
      token: mint.token({ claims: { sub: undefined, ['__proto__']: { sub: 'root' } } }),
    },
    later('"iss":"https://other.example"'),
    later('"aud":"https://other.example"'),
    later('"\\u0061ud":"https://other.example"'),
    later(`"exp":${mint.now + 86_400}`),
    later('"sub":null'),
    later('"roles":"admin"'),
  ]
}
