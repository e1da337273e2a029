/** Keys that were seen lately; an issuer has three at a time. */
const MAX_KEYS = 16

/**
 * What was made of a key, kept for the next token that it signed.
 *
 * @param make gets the SPKI PEM of a key; what it throws is thrown again, and nothing is kept
 */
export function memoizePerKey<Made>(make: (pem: string) => Made): (pem: string) => Made {
  const made = new Map<string, Made>()
  return (pem) => {
    const known = made.get(pem)
    if (known !== undefined) return known
    const fresh = make(pem)
    if (made.size >= MAX_KEYS) made.clear()
    made.set(pem, fresh)
    return fresh
  }
}
