import { Type } from '@sinclair/typebox'
import { AppError } from '../errors/app-error.ts'

// Lists of the admin API come in pages, sorted by time of creation, the oldest first.

const DEFAULT_PAGE_SIZE = 50
const MAX_PAGE_SIZE = 200

/** The entry after which the next page of a list begins. */
export interface Cursor {
  /** Epoch seconds. */
  readonly createdAt: number
  readonly id: string
}

/** The part of a list that a store is asked for. */
export interface PageOf {
  readonly after?: Cursor | undefined
  readonly limit: number
}

/** The query parameters that ask for a page. Numbers of a query arrive as text. */
export const PageQuery = {
  cursor: Type.Optional(
    Type.String({ maxLength: 128, description: 'the `next_cursor` of the page before; absent for the first page' }),
  ),
  limit: Type.Optional(
    Type.String({
      pattern: '^([1-9][0-9]?|1[0-9][0-9]|200)$',
      description: `entries of a page, 1..${MAX_PAGE_SIZE}; ${DEFAULT_PAGE_SIZE} when absent`,
    }),
  ),
}

interface PageAsked {
  readonly cursor?: string | undefined
  readonly limit?: string | undefined
}

/** The reply member that holds the cursor of the next page. */
export const NextCursor = Type.Optional(
  Type.String({ description: 'send it as `cursor` to get the next page; absent on the last page' }),
)

/**
 * The query for the page after a cursor, plus one entry more, which tells whether there is another page.
 *
 * @throws AppError `validation_failed` for a cursor that this server did not make
 */
export function pageAfter({ cursor, limit }: PageAsked): PageOf {
  return { after: cursor === undefined ? undefined : decodeCursor(cursor), limit: sizeOf(limit) + 1 }
}

/**
 * @param found the rows that the store returned for `pageAfter`
 * @param asked the query
 * @param lookedTo where the store stopped looking, if that was before the end: the page may be short, and is not the
 *   last
 * @returns the page without the extra entry, and the cursor of the next page if there is one
 */
export function pageOf<T extends Cursor>(
  found: readonly T[],
  asked: PageAsked,
  lookedTo?: Cursor,
): { page: T[]; next: { next_cursor?: string } } {
  const page = found.slice(0, sizeOf(asked.limit))
  const next = found.length > page.length ? page.at(-1) : lookedTo
  return { page, next: next === undefined ? {} : { next_cursor: encodeCursor(next) } }
}

const sizeOf = (limit: string | undefined) => (limit === undefined ? DEFAULT_PAGE_SIZE : Number(limit))

function encodeCursor({ createdAt, id }: Cursor): string {
  return Buffer.from(JSON.stringify([createdAt, id])).toString('base64url')
}

function decodeCursor(cursor: string): Cursor {
  try {
    const [createdAt, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (Number.isSafeInteger(createdAt) && typeof id === 'string') return { createdAt, id }
  } catch {}
  throw new AppError('validation_failed', { fields: [{ field: '/cursor', message: 'is not a cursor of this server' }] })
}
