import { AppError } from '../../src/errors/app-error.ts'
import { acceptClaims, type ClaimsPolicy } from '../../src/tokens/claims.ts'

/** Epoch seconds. */
export const NOW = 1_800_000_000
export const policy: ClaimsPolicy = {
  issuer: 'https://signet.example',
  audience: ['api', 'web'],
  skew: 5,
  maxLifetime: 900,
  typ: 'at+jwt',
}

/** Claims that are accepted at NOW. */
export const good = Object.freeze({
  iss: policy.issuer,
  aud: 'api',
  sub: 'account',
  client_id: 'signet',
  iat: NOW - 10,
  exp: NOW + 590,
  jti: 'id',
})

/** `accepted`, or the public code of the refusal. Any other error fails the test that asked. */
export function verdict(payload: unknown, overrides: Partial<ClaimsPolicy> = {}): string {
  try {
    acceptClaims(payload, { ...policy, ...overrides }, NOW)
    return 'accepted'
  } catch (error) {
    if (error instanceof AppError) return error.code
    throw error
  }
}

/** Not blank, and no control character, line separator or half of a surrogate pair in it. */
const clean = (value: string) => value.trim() !== '' && !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(value)
const text = (value: unknown) => typeof value === 'string' && value.length <= 255 && clean(value)
export const count = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0
const instant = (value: unknown) => count(value) && Number(value) < 253_402_300_800 // the year 10000
const list = (value: unknown, item: (member: unknown) => boolean, least = 0) =>
  Array.isArray(value) && value.length >= least && value.length <= 32 && value.every(item)
const role = (value: unknown) => typeof value === 'string' && value.length <= 64 && clean(value)

/** The rules for claims, written a second time and differently from the source, as the oracle of the properties. */
export const MAY_BE: Readonly<Record<string, (value: unknown) => boolean>> = {
  iss: (value) => value === policy.issuer,
  aud: (value) =>
    (text(value) || list(value, text, 1)) &&
    [value].flat().some((item) => policy.audience?.includes(item as string) === true),
  sub: text,
  client_id: text,
  jti: text,
  sid: text,
  iat: instant,
  exp: instant,
  nbf: instant,
  auth_time: instant,
  token_version: count,
  email_verified: (value) => typeof value === 'boolean',
  scope: (value) => typeof value === 'string' && value.length <= 2048 && clean(`${value}x`),
  roles: (value) => list(value, role),
}

/** Text that no identifier may be: blank, or with a character in it that nobody sees. */
const UNCLEAN = [
  ' ',
  ' \u00a0\u3000',
  '\ufeff',
  'a\u0000b',
  '\u0000',
  'a\n',
  '\tadmin',
  'a\u001b[2Jb',
  'a\u007f',
  'a\u0080b',
]
const MORE_UNCLEAN = ['\u009fa', 'a\u2028b', 'a\u2029', 'a\ud800', '\udc00a', '\udc00\ud800', `${'x'.repeat(60)}\r`]

/** What may stand in the place of a claim. */
export const VALUES: readonly unknown[] = [
  ...[null, true, false, 0, -0, 1, -1, 1.5, NOW, -NOW, NOW * 1000, 1e308, -1e308, Infinity, -Infinity, NaN],
  ...[2 ** 53 - 1, 2 ** 53, 5e-324, '', ' ', 'x', 'api', String(NOW), 'x'.repeat(64), 'x'.repeat(65), 'x'.repeat(255)],
  ...[
    'x'.repeat(256),
    'x'.repeat(2048),
    'x'.repeat(2049),
    [],
    [''],
    ['x'],
    ['api'],
    ['x', 'web'],
    [1],
    [null],
    [['api']],
  ],
  ...[['api', 1], ['api', null], ['api', ''], ['x'.repeat(65)], Array(32).fill('api'), Array(33).fill('api')],
  ...[...UNCLEAN, ...MORE_UNCLEAN].flatMap((value) => [value, [value], ['api', value]]),
  ...['a b', 'ü', '𝒳', '\u{1f600}', 'a\u200db', 'acc_1|x', `${'x'.repeat(253)}𝒳`, `${'x'.repeat(254)}𝒳`],
  ...[{}, { 0: 'api' }, { length: 1 }, { $ne: null }, { toString: 'x' }, 1n, Symbol('x'), () => 'api', new Date(0)],
]
