import { Type } from '@sinclair/typebox'
import { AppError } from '../errors/app-error.ts'

// Lists of the admin API come in pages, sorted by time of creation, the oldest first.

const PAGE_SIZE = 50

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

/** The query parameter that asks for a page. */
export const CursorQuery = Type.Optional(Type.String({ maxLength: 128 }))

/** The reply member that holds the cursor of the next page. */
export const NextCursor = Type.Optional(
  Type.String({ description: 'send it as `cursor` to get the next page; absent on the last page' }),
)

/**
 * The query for the page after a cursor, plus one entry more, which tells whether there is another page.
 *
 * @throws AppError `validation_failed` for a cursor that this server did not make
 */
export function pageAfter(cursor: string | undefined): PageOf {
  return { after: cursor === undefined ? undefined : decodeCursor(cursor), limit: PAGE_SIZE + 1 }
}

/**
 * @param found the rows that the store returned for `pageAfter`
 * @returns the page without the extra entry, and the cursor of the next page if there is one
 */
export function pageOf<T extends Cursor>(found: readonly T[]): { page: T[]; next: { next_cursor?: string } } {
  const page = found.slice(0, PAGE_SIZE)
  const last = page.at(-1)
  const more = found.length > PAGE_SIZE && last !== undefined
  return { page, next: more ? { next_cursor: encodeCursor(last) } : {} }
}

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
