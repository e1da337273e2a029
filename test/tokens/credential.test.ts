import fc from 'fast-check'
import t from 'tap'
import { AppError } from '../../src/errors/app-error.ts'
import { MAX_TOKEN_LENGTH } from '../../src/tokens/claims.ts'
import { authorizationLine, bearerToken, checkHeader } from '../../src/tokens/credential.ts'
import { anyText } from '../support/any-text.ts'
import { shown } from '../support/attacks/corpus.ts'
import { encode, respellings } from '../support/mint.ts'

const GOOD = { alg: 'RS256', typ: 'at+jwt', kid: 'the-kid' }
const tokenOf = (header: unknown, payload = 'e30', signature = 'AAAA') => `${encode(header)}.${payload}.${signature}`

/** What came out, or the public code of the refusal. Any other error fails the test that asked. */
function outcome(work: () => string | undefined): { value?: string | undefined; code?: string } {
  try {
    return { value: work() }
  } catch (error) {
    if (error instanceof AppError) return { code: error.code }
    throw error
  }
}

t.test('the one Authorization line is found in any case, and only by its name', async (t) => {
  const rows: [rawHeaders: string[], expected: string | undefined][] = [
    [[], undefined],
    [['Host', 'x'], undefined],
    [['Authorization', 'Bearer x'], 'Bearer x'],
    [['Host', 'x', 'aUTHORIZATION', 'Bearer x', 'Cookie', 'y'], 'Bearer x'],
    [['authorization', ''], ''],
    [['X', 'authorization', 'Y', 'authorization'], undefined],
    [['authorization', 'authorization'], 'authorization'],
    [['Authorization ', 'Bearer x', 'X-Authorization', 'Bearer y', 'Proxy-Authorization', 'Bearer z'], undefined],
    [['authorizatıon', 'Bearer x'], undefined],
  ]
  for (const [rawHeaders, expected] of rows) t.equal(authorizationLine(rawHeaders), expected, rawHeaders.join())
})

t.test('more than one Authorization line is an invalid request, however they are mixed', async () => {
  const name = fc.oneof(fc.constantFrom('authorization', 'Authorization', 'AUTHORIZATION'), fc.string())
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.string())), (pairs) => {
      const lines = pairs.filter(([name]) => name.toLowerCase() === 'authorization')
      const { value, code } = outcome(() => authorizationLine(pairs.flat()))
      return lines.length > 1 ? code === 'invalid_request' : code === undefined && value === lines[0]?.[1]
    }),
  )
})

t.test('another scheme is no credential here, and Bearer without a token is a bad one', async (t) => {
  const missing = [
    '',
    ' ',
    'Basic eDp5',
    'x.y.z',
    'Bearerx',
    'Bearer,x',
    'Bearer:x',
    'xBearer y',
    ' Bearer x',
    'DPoP x',
    'Bеarer x',
  ]
  for (const line of missing)
    t.same(
      outcome(() => bearerToken(line)),
      { code: 'missing_token' },
      line,
    )
  for (const line of ['Bearer', 'bearer', 'BEARER\t', 'Bearer\n']) {
    t.same(
      outcome(() => bearerToken(line)),
      { code: 'invalid_token' },
      line,
    )
  }
})

t.test('the scheme is read in any case, after any number of spaces comes the token as it is', async () => {
  const scheme = fc.mixedCase(fc.constant('bearer'))
  const spaces = fc.integer({ min: 1, max: 5 }).map((count) => ' '.repeat(count))
  const token = anyText({ minLength: 1 }).filter((text) => !text.startsWith(' '))
  fc.assert(fc.property(scheme, spaces, token, (...parts) => bearerToken(parts.join('')) === parts[2]))
})

t.test('a kid is read from a header of alg, typ and kid and nothing else', async (t) => {
  t.equal(checkHeader(tokenOf(GOOD)), 'the-kid')
  for (const typ of ['AT+JWT', 'application/at+jwt', 'Application/At+Jwt'])
    t.equal(checkHeader(tokenOf({ ...GOOD, typ })), 'the-kid')
  for (const kid of ['constructor', '__proto__', '\0', 'x'.repeat(2000), '../x', '\ud800'.toWellFormed()]) {
    t.equal(checkHeader(tokenOf({ ...GOOD, kid })), kid, 'its text is judged by the keyring, not here')
  }
  for (const member of [
    'crit',
    'b64',
    'jwk',
    'jku',
    'x5u',
    'x5c',
    'x5t',
    'zip',
    'cty',
    'enc',
    '',
    'ALG',
    '__proto__',
    'toString',
  ]) {
    t.same(
      outcome(() => checkHeader(tokenOf({ ...GOOD, [member]: null }))),
      { code: 'invalid_token' },
      member,
    )
  }
})

t.test('a header that is not a JSON object in UTF-8, without a BOM, is refused', async (t) => {
  const json = JSON.stringify(GOOD)
  const texts = [
    '',
    'null',
    '1',
    '"x"',
    '[]',
    `[${json}]`,
    `${json},`,
    `${json}x`,
    json.slice(1),
    `\ufeff${json}`,
    `${json}\0`,
  ]
  const bytes = [Buffer.from(json, 'utf16le'), Buffer.from(json.replace('the', '\xff'), 'latin1')]
  for (const header of [...texts, ...bytes]) {
    t.same(
      outcome(() => checkHeader(tokenOf(header))),
      { code: 'invalid_token' },
      shown(header),
    )
  }
})

t.test('a token as long as the cap is read, and one character more is refused before it is decoded', async (t) => {
  const start = tokenOf(GOOD, 'e30', '')
  const signature = (length: number) => `${start}${'A'.repeat(length - start.length)}`
  const lengths = [MAX_TOKEN_LENGTH - 1, MAX_TOKEN_LENGTH].filter((length) => (length - start.length) % 4 !== 1)
  for (const length of lengths) t.equal(checkHeader(signature(length)), 'the-kid')
  for (const length of [MAX_TOKEN_LENGTH + 1, MAX_TOKEN_LENGTH + 2, MAX_TOKEN_LENGTH + 3, 1_000_000]) {
    t.same(
      outcome(() => checkHeader(signature(length))),
      { code: 'invalid_token' },
      String(length),
    )
  }
})

t.test('payload and signature have one spelling that is read, and all others are refused', async () => {
  const text = fc.string({ minLength: 1, maxLength: 40 }).map((text) => encode(text))
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => encode(Buffer.from(bytes)))
  const around = fc.constantFrom('=', '==', '.', ' ', '\n', '\t', '\0', '!', '+', '/', '%', '\ufeff', 'é', '\u200b')
  fc.assert(
    fc.property(text, bytes, around, fc.nat(), (payload, signature, junk, at) => {
      const refused = (payload: string, signature: string) =>
        outcome(() => checkHeader(tokenOf(GOOD, payload, signature))).code === 'invalid_token'
      const spoiled = (text: string) =>
        text.slice(0, at % (text.length + 1)) + junk + text.slice(at % (text.length + 1))
      return (
        !refused(payload, signature) &&
        respellings(payload).every((other) => refused(other, signature)) &&
        respellings(signature).every((other) => refused(payload, other)) &&
        refused(spoiled(payload), signature) &&
        refused(payload, spoiled(signature)) &&
        refused('', signature) &&
        refused(payload, '')
      )
    }),
  )
})

t.test(
  'a signature of 2048 bits has fifteen other spellings, of 3072 bits none, of 4096 bits three, and all are refused',
  async (t) => {
    for (const [bytes, others] of [
      [256, 15],
      [384, 0],
      [512, 3],
    ] as const) {
      const signature = encode(Buffer.alloc(bytes, 0xa5))
      t.equal(respellings(signature).length, others)
      for (const other of respellings(signature)) {
        t.ok(Buffer.from(other, 'base64url').equals(Buffer.alloc(bytes, 0xa5)), 'the same bytes to a lenient decoder')
        t.same(
          outcome(() => checkHeader(tokenOf(GOOD, 'e30', other))),
          { code: 'invalid_token' },
        )
      }
      t.equal(checkHeader(tokenOf(GOOD, 'e30', signature)), 'the-kid')
    }
  },
)

t.test('any text gives a kid or a refusal, and never another error', async () => {
  const base64url = fc.stringMatching(/^[A-Za-z0-9_-]{0,40}$/)
  const texts = fc.oneof(
    anyText({ maxLength: 200 }),
    fc.stringMatching(/^[A-Za-z0-9_.=-]{0,80}$/),
    fc.array(base64url, { maxLength: 6 }).map((parts) => parts.join('.')),
    fc.uint8Array({ maxLength: 80 }).map((bytes) => `${encode(Buffer.from(bytes))}.e30.AAAA`),
    fc.json().map((json) => tokenOf(json)),
  )
  fc.assert(
    fc.property(texts, (text) => outcome(() => checkHeader(text)).code === 'invalid_token'),
    { numRuns: 2000 },
  )
})

t.test('any JSON in the place of a header member is refused, unless it is as good', async () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom('RS256', 'rs256', 'none', 'HS256', 'at+jwt', 'AT+jwt', 'JWT', 'application/AT+JWT', 'k'),
  )
  fc.assert(
    fc.property(fc.record({ alg: value, typ: value, kid: value }, { requiredKeys: [] }), (change) => {
      const { alg, typ, kid } = { ...GOOD, ...change }
      const fine = alg === 'RS256' && typeof typ === 'string' && /^(application\/)?at\+jwt$/i.test(typ)
      const expected = fine && typeof kid === 'string' && kid !== '' ? { value: kid } : { code: 'invalid_token' }
      const found = outcome(() => checkHeader(tokenOf({ ...GOOD, ...change })))
      return JSON.stringify(found) === JSON.stringify(expected)
    }),
    { numRuns: 2000 },
  )
})

t.test('one changed character of a good token never gives another error', async () => {
  const good = tokenOf(GOOD, encode({ sub: 'x' }), encode(Buffer.alloc(256, 7)))
  fc.assert(
    fc.property(fc.nat(good.length - 1), anyText({ maxLength: 2 }), (at, text) => {
      const { value, code } = outcome(() => checkHeader(good.slice(0, at) + text + good.slice(at + 1)))
      return code === 'invalid_token' || typeof value === 'string'
    }),
    { numRuns: 2000 },
  )
})
