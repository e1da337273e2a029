import type { Look, Marked } from './history-store.ts'
import type { Revocation } from './revocation.ts'
import type { RevocationStore } from './revocation-store.ts'

/** Rows of one page: taking them over from the thread of SQLite and adding them takes some 25 ms. */
const PAGE_SIZE = 5000
/** How often the whole store is read again when it goes back while it is read. */
const MAX_READS = 5

/** How far a node has read the store, and what it knows of it. It makes each look comparable with the one before. */
export interface Place {
  /** Every revocation up to this number was read. */
  readonly seq: number
  /** Of the last look; undefined before the first. */
  readonly store: (Pick<Look, 'history' | 'head'> & { readonly newest: Marked | undefined }) | undefined
}

export const START: Place = { seq: 0, store: undefined }

/**
 * How the store compares with the last look at it:
 *
 * - `same`: it only went forward;
 * - `forgotten`: nobody can tell, because its marks begin after the last one that is known here;
 * - `went_back`: numbers that were read here are not there any more, or were given again to others;
 * - `changed`: another server found that it went back, or `accounts -- after-restore` was run.
 */
export type Comparison = 'same' | 'forgotten' | 'went_back' | 'changed'

/** @param look at the number `place.store.newest.seq`; see `RevocationStore.look` */
export function compare({ store }: Place, look: Pick<Look, 'history' | 'head' | 'mark' | 'oldest'>): Comparison {
  if (store === undefined) return 'same'
  if (look.head < store.head) return 'went_back'
  if (look.history !== store.history) return 'changed'
  const { newest } = store
  if (newest === undefined || look.mark === newest.mark) return 'same'
  const isForgotten = look.mark === undefined && look.oldest !== undefined && look.oldest > newest.seq
  return isForgotten ? 'forgotten' : 'went_back'
}

/**
 * Reads everything that is new in the store, page by page. Each page is of a store that went on from the page before:
 * otherwise it ends, and nothing of that page is taken.
 *
 * @param take is called with the entries of each page, and the place after it
 * @returns the comparison that ended it, with the history of the store; `same` when everything was read
 * @throws when the store can't be read; what was taken before stays valid
 */
export async function readOn(
  store: RevocationStore,
  start: Place,
  take: (revocations: readonly Revocation[], place: Place) => void,
): Promise<{ readonly comparison: Comparison; readonly history: string }> {
  for (let place = start; ; ) {
    const look = await store.look({ after: place.seq, known: place.store?.newest?.seq, limit: PAGE_SIZE })
    const { history, head, revocations } = look
    const comparison = compare(place, look)
    if (comparison !== 'same') return { comparison, history }
    const isLast = revocations.length < PAGE_SIZE
    const newest = look.newest ?? place.store?.newest
    place = { seq: isLast ? head : (revocations.at(-1)?.seq ?? head), store: { history, head, newest } }
    take(revocations, place)
    if (isLast) return { comparison, history }
  }
}

/**
 * Reads everything again, in one state of the store.
 *
 * @param reader.begin is called before the first row, also when a read has to begin once more
 * @param take is called with each row
 * @throws when the store can't be read, or goes back again and again
 */
export async function readFromStart(
  store: RevocationStore,
  reader: { begin(): void },
  take: (revocation: Revocation) => void,
): Promise<Place> {
  for (let reads = 0; reads < MAX_READS; reads += 1) {
    let reached = START
    reader.begin()
    const { comparison } = await readOn(store, START, (revocations, place) => {
      revocations.forEach(take)
      reached = place
    })
    if (comparison === 'same') return reached
  }
  throw new Error('the store went back again and again while it was read')
}
