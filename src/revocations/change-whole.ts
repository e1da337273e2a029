import { createHash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import type { SetEntry } from './revocation-set.ts'
import { entryClaims, type Part, type SignedChanges, type Signing } from './sign-changes.ts'

/** How many entries one page has at most: some 170 KB, which take a few milliseconds to make. */
export const MAX_PAGE_ENTRIES = 5000

/** Of the digest that tells wholes apart: 132 bits. */
const WHOLE_CHARACTERS = 22

/** Everything that is revoked, in signed pages. Whoever has them goes on with the pieces after `seq`. */
export interface Whole {
  readonly history: string
  readonly seq: number
  readonly iat: number
  /** In order. Emptied when the whole is dropped while somebody still reads it. */
  readonly pages: SignedChanges[]
}

/**
 * Cuts the entries into pages, a slice of the work in each turn of the event loop: the set may have a million. What is
 * revoked meanwhile may be in the pages or not; it has a number after `seq`, and comes in the pieces after them.
 *
 * @param sign signs one page
 */
export async function makeWhole(
  entries: Iterable<SetEntry>,
  { history, seq, iat }: Pick<Whole, 'history' | 'seq' | 'iat'>,
  sign: (page: Part) => Signing,
): Promise<Whole> {
  const parts: ReturnType<typeof entryClaims>[] = []
  const digest = createHash('sha256')
  let open: SetEntry[] = []
  const close = () => {
    const part = entryClaims(open)
    parts.push(part)
    digest.update(JSON.stringify(part))
    open = []
  }
  for (const entry of entries) {
    open.push(entry)
    if (open.length < MAX_PAGE_ENTRIES) continue
    close()
    await turn()
  }
  if (open.length > 0 || parts.length === 0) close()
  const pages: SignedChanges[] = []
  // Two wholes of one number may be cut differently: followers must not mix their pages. Nodes give equal texts.
  const whole = digest.digest('base64url').slice(0, WHOLE_CHARACTERS)
  for (const [i, part] of parts.entries()) {
    const page = sign({ after: 0, seq, page: i + 1, pages: parts.length, whole, iat, ...part })
    pages.push({ ...page, line: await page.line })
    parts[i] = {} // a million entries are in memory once, not twice
    if (parts.length > 1) await turn()
  }
  return { history, seq, iat, pages }
}

/**
 * The lines of a whole, one after the other as they are asked for.
 *
 * @param count of the pages, from before anything was awaited
 * @throws Error when the whole was dropped meanwhile: who reads so slowly is cut off, and can't hold the memory
 */
export function* linesOf({ pages }: Whole, count: number): Generator<Buffer> {
  for (let i = 0; i < count; i += 1) {
    const page = pages[i]
    if (page === undefined) throw new Error('the pages were dropped before they were read')
    yield page.line
  }
}
