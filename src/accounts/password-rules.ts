import { AppError } from '../errors.ts'

/** NIST asks for at least 64; longer ones are refused, never cut. Counted in code points. */
export const MAX_PASSWORD_LENGTH = 512

/** A local part shorter than this is found in too many good passwords to be held against them. */
const MIN_CONTEXT_LENGTH = 3

/**
 * The form that is hashed and compared: NFKC (NIST SP 800-63B-4 section 3.1.1.2), so that the same keys pressed on two systems
 * give the same password. Nothing is trimmed, cut or case-folded.
 */
export function normalisePassword(password: string): string {
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
  const lower = normalised.toLowerCase()
  const unit = repeatedUnit(lower)
  const localPart = email.split('@', 1)[0] ?? ''

  if (length < rules.minLength)
    throw unacceptable(`has ${length} characters, and at least ${rules.minLength} are needed`)
  if (length > MAX_PASSWORD_LENGTH) throw unacceptable(`has more than ${MAX_PASSWORD_LENGTH} characters`)
  if (await rules.isCommon(lower)) throw unacceptable('is on the list of common passwords')
  if ([...unit].length < 4 || (await rules.isCommon(unit))) throw unacceptable('is a short or common text repeated')
  if (localPart.length >= MIN_CONTEXT_LENGTH && lower.includes(localPart))
    throw unacceptable('contains the name of the email address')
}

/** `abcabcabc` is `abc` three times; a text that repeats nothing is its own unit. */
function repeatedUnit(text: string): string {
  // A text is a repetition when it occurs in its own doubling before the end; the position is the length of the unit.
  return text.slice(0, (text + text).indexOf(text, 1))
}

function unacceptable(why: string): AppError {
  return new AppError('password_unacceptable', {
    detail: `The password ${why}.`,
    fields: [{ field: '/password', message: why }],
  })
}
