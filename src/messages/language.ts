/** More ranges than any browser sends. */
const MAX_RANGES = 20
const MAX_CHARACTERS = 1000

/**
 * The language to write in: the lookup of RFC 4647 section 3.4. `de-CH` finds `de` when there is no `de-CH`.
 *
 * @param wanted a BCP 47 tag, or the value of an `Accept-Language` header (RFC 9110 section 12.5.4); anything else finds
 *   nothing
 * @param available BCP 47 tags
 * @returns one of `available`, or undefined when none is wanted
 */
export function lookupLanguage(wanted: string, available: readonly string[]): string | undefined {
  for (const range of rangesOf(wanted)) {
    for (let tag = range; tag !== ''; tag = shorter(tag)) {
      const found = available.find((candidate) => candidate.toLowerCase() === tag)
      if (found !== undefined) return found
    }
  }
  return undefined
}

/** The ranges in lower case, the most wanted first. */
function rangesOf(wanted: string): string[] {
  return wanted
    .slice(0, MAX_CHARACTERS)
    .toLowerCase()
    .split(',', MAX_RANGES)
    .map((part) => {
      const [, range = '', weight = '1'] =
        /^\s*([a-z]{1,8}(?:-[a-z0-9]{1,8})*)\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?$/.exec(part) ?? []
      return { range, weight: Number(weight) }
    })
    .filter(({ range, weight }) => range !== '' && weight > 0)
    .toSorted((a, b) => b.weight - a.weight)
    .map(({ range }) => range)
}

/** Without its last subtag, and without a single letter that then stands at the end (`zh-x-private` → `zh`). */
const shorter = (tag: string) => tag.replace(/(?:^|-)[^-]*$/, '').replace(/-[a-z0-9]$/, '')
