/** More than an issuer uses at a time (three). When it is full, everything is forgotten. */
const MAX_KEYS = 16

/**
 * Remembers what `make` returned for a key, for the next token that the key signed.
 *
 * @param make gets the SPKI PEM of a key; an exception passes through, and nothing is remembered
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
