import { Type } from '@sinclair/typebox'
import { AppError } from '../errors/app-error.ts'

// Lists of the admin API: by creation, the oldest first, a page at a time.

const PAGE_SIZE = 50

/** Where the next page of a list begins: after this entry. */
export interface Cursor {
  /** Epoch seconds. */
  readonly createdAt: number
  readonly id: string
}

/** What a store is asked for. */
export interface PageOf {
  readonly after?: Cursor | undefined
  readonly limit: number
}

/** The query member by which a page is asked for. */
export const CursorQuery = Type.Optional(Type.String({ maxLength: 128 }))

/** The reply member that leads on. */
export const NextCursor = Type.Optional(Type.String({ description: 'ask again with it; absent on the last page' }))

/** The page behind a cursor, and one entry more, which tells whether there is another page. @throws AppError `validation_failed` */
export function pageAfter(cursor: string | undefined): PageOf {
  return { after: cursor === undefined ? undefined : decodeCursor(cursor), limit: PAGE_SIZE + 1 }
}

/** @param found what the store had for `pageAfter` */
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
