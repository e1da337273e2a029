import { AppError } from '../errors/app-error.ts'

/** In code points. NIST asks verifiers to allow at least 64; a longer password is refused, never cut. */
export const MAX_PASSWORD_LENGTH = 512

/** A shorter local part of an email occurs by chance in too many good passwords. */
const MIN_CONTEXT_LENGTH = 3

/**
 * The form of a password that is hashed and compared: NFKC (NIST SP 800-63B-4 section 3.1.1.2), so that the same keys
 * pressed on two systems give the same password. Nothing is trimmed, cut or case-folded.
 *
 * @throws AppError `validation_failed` for text that is not well-formed Unicode
 */
export function normalisePassword(password: string): string {
  // A lone surrogate has no UTF-8 form: all of them would be hashed as the same U+FFFD.
  if (!password.isWellFormed()) {
    throw new AppError('validation_failed', { fields: [{ field: '/password', message: 'is not well-formed Unicode' }] })
  }
  return password.normalize('NFKC')
}

/**
 * Checks a new password: its length in code points, that it is not a common one, and not made of the email. No
 * composition rules (NIST).
 *
 * @param password as received
 * @param email normalised
 * @param rules.isCommon tells whether a lower-case text is on the list of common passwords
 * @param rules.field JSON Pointer of the password in the request. Default: `/password`
 * @throws AppError `password_unacceptable` with the reason
 */
export async function checkNewPassword(
  password: string,
  email: string,
  rules: { minLength: number; isCommon: (text: string) => Promise<boolean>; field?: string },
): Promise<void> {
  const unacceptable = (why: string) => refusal(why, rules.field ?? '/password')
  const normalised = normalisePassword(password)
  const length = [...normalised].length
  // The length is checked first: the checks below must not run on texts of any size (NFKC can turn one character into
  // eighteen).
  if (length < rules.minLength)
    throw unacceptable(`has ${length} characters, and at least ${rules.minLength} are needed`)
  if (length > MAX_PASSWORD_LENGTH) throw unacceptable(`has more than ${MAX_PASSWORD_LENGTH} characters`)

  const lower = normalised.toLowerCase()
  const unit = repeatedUnit(lower)
  const bare = lower.replace(/^[\p{N}\p{P}\p{S}]+|[\p{N}\p{P}\p{S}]+$/gu, '')
  for (const text of [lower, unit, bare])
    if (await rules.isCommon(text)) throw unacceptable('is a common password, or one with digits around it')
  if ([...unit].length < 4) throw unacceptable('is a short text repeated')
  if (isRun(lower)) throw unacceptable('is a run of neighbouring characters')

  const [localPart = '', domain = ''] = email.split('@')
  if (localPart.length >= MIN_CONTEXT_LENGTH && lower.includes(localPart))
    throw unacceptable('contains the name of the email address')
  const rest = [domain, ...domain.split('.'), 'signet', 'password'].reduce(
    (text, word) => text.replaceAll(word, ''),
    lower,
  )
  if (rest.replace(/[\p{N}\p{P}\p{S}\s]/gu, '').length < 4 && rest !== lower)
    throw unacceptable('is made of words that anybody would try here')
}

/**
 * The shortest text that repeated gives this one: `abc` for `abcabcabc`. A text without a repetition is returned whole.
 */
function repeatedUnit(text: string): string {
  // A text that is repeated occurs in its own doubling before the end, at the position that is the length of the unit.
  return text.slice(0, (text + text).indexOf(text, 1))
}

/**
 * True for `abcdefgh`, `87654321`, `1234567890123`: every step is the same, up or down by one (nine is followed by
 * zero).
 */
function isRun(text: string): boolean {
  const codes = [...text].map((character) => character.codePointAt(0) ?? 0)
  const steps = codes.slice(1).map((code, index) => code - (codes[index] ?? 0))
  return [1, -1].some((step) => steps.every((s) => s === step || s === -9 * step))
}

function refusal(why: string, field: string): AppError {
  return new AppError('password_unacceptable', {
    detail: `The password ${why}.`,
    fields: [{ field, message: why }],
  })
}
