import { AppError } from '../errors/app-error.ts'

/** Where the next page of a list begins: after this entry, by creation. */
export interface Cursor {
  /** Epoch seconds. */
  readonly createdAt: number
  readonly id: string
}

export function encodeCursor({ createdAt, id }: Cursor): string {
  return Buffer.from(JSON.stringify([createdAt, id])).toString('base64url')
}

/** @throws AppError `validation_failed` */
export function decodeCursor(cursor: string): Cursor {
  try {
    const [createdAt, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (Number.isSafeInteger(createdAt) && typeof id === 'string') return { createdAt, id }
  } catch {}
  throw new AppError('validation_failed', { fields: [{ field: '/cursor', message: 'is not a cursor of this server' }] })
}
