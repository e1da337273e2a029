import t from 'tap'
import { makeWhole } from '../../src/revocations/change-whole.ts'
import type { SetEntry } from '../../src/revocations/revocation-set.ts'
import type { Part } from '../../src/revocations/sign-changes.ts'

const ENTRIES: readonly SetEntry[] = Array.from({ length: 5001 }, (_, i) => {
  return { kind: 'session', subject: `s${i}`, minVersion: null, expiresAt: 1000 }
})

/** The pages of a whole of the number 9, before they are signed. */
async function pagesOf(entries: Iterable<SetEntry>, iat = 100): Promise<Part[]> {
  const pages: Part[] = []
  await makeWhole(entries, { history: 'h', seq: 9, iat }, (page) => {
    pages.push(page)
    return { line: Promise.resolve(Buffer.of()), kid: 'k', iat, cursor: 'c' }
  })
  return pages
}

t.test('pages of one whole name it, and those of another name another', async (t) => {
  const pages = await pagesOf(ENTRIES)
  const id = pages[0]?.whole
  t.match(id, /^[\w-]{22}$/)
  t.match(pages, [
    { page: 1, pages: 2, whole: id },
    { page: 2, pages: 2, whole: id },
  ])
  t.equal((await pagesOf(ENTRIES))[0]?.whole, id, 'nodes with the same entries give the same texts')
  const later = await pagesOf([...ENTRIES.slice(1), { ...ENTRIES[0], subject: 'x' } as SetEntry], 130)
  t.match(later, [{ pages: 2 }, { pages: 2 }])
  t.not(later[0]?.whole, id, 'the same number, but entries stand on other pages')
  t.match(await pagesOf([]), [{ page: 1, pages: 1, whole: /^[\w-]{22}$/ }])
})
