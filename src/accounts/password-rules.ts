import { AppError } from '../errors/app-error.ts'

/** NIST asks for at least 64; longer ones are refused, never cut. Counted in code points. */
export const MAX_PASSWORD_LENGTH = 512

/** A local part shorter than this is found in too many good passwords to be held against them. */
const MIN_CONTEXT_LENGTH = 3

/**
 * The form that is hashed and compared: NFKC (NIST SP 800-63B-4 section 3.1.1.2), so that the same keys pressed on two systems
 * give the same password. Nothing is trimmed, cut or case-folded.
 *
 * @throws AppError `validation_failed` for text that is not well-formed
 */
export function normalisePassword(password: string): string {
  // Half of a surrogate pair has no UTF-8 form: all of them would be hashed as the same U+FFFD.
  if (!password.isWellFormed()) {
    throw new AppError('validation_failed', { fields: [{ field: '/password', message: 'is not well-formed Unicode' }] })
  }
  return password.normalize('NFKC')
}

/**
 * Judges a new password: length in code points, not a common one, not made of the email. No composition rules (NIST).
 *
 * @param password as received
 * @param email normalised
 * @param isCommon tells whether a lower-case text is on the list of common passwords
 * @throws AppError `password_unacceptable` with the reason
 */
export async function checkNewPassword(
  password: string,
  email: string,
  rules: { minLength: number; isCommon: (text: string) => Promise<boolean> },
): Promise<void> {
  const normalised = normalisePassword(password)
  const length = [...normalised].length
  // Length first: what follows is not for texts of any size (one character can become eighteen by NFKC).
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

/** `abcabcabc` is `abc` three times; a text that repeats nothing is its own unit. */
function repeatedUnit(text: string): string {
  // A text is a repetition when it occurs in its own doubling before the end; the position is the length of the unit.
  return text.slice(0, (text + text).indexOf(text, 1))
}

/** `abcdefgh`, `87654321`, `1234567890123`: every step the same, up or down by one (nine is followed by zero). */
function isRun(text: string): boolean {
  const codes = [...text].map((character) => character.codePointAt(0) ?? 0)
  const steps = codes.slice(1).map((code, index) => code - (codes[index] ?? 0))
  return [1, -1].some((step) => steps.every((s) => s === step || s === -9 * step))
}

function unacceptable(why: string): AppError {
  return new AppError('password_unacceptable', {
    detail: `The password ${why}.`,
    fields: [{ field: '/password', message: why }],
  })
}
