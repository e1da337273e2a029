import type { Cursor, PageOf } from '../http/paging.ts'

/** An event as it is stored. */
export interface TrailEvent extends Cursor {
  readonly event: string
  readonly accountId: string | null
  readonly sessionId: string | null
  readonly actorId: string | null
  readonly ip: string | null
  readonly userAgent: string | null
  readonly requestId: string | null
  readonly detail: Readonly<Record<string, unknown>>
}

/** Which events; each member narrows it further. */
export interface TrailFilter {
  readonly accountId?: string | undefined
  readonly sessionId?: string | undefined
  readonly event?: string | undefined
  readonly actorId?: string | undefined
  /** The client that the event is about. */
  readonly clientId?: string | undefined
  readonly ip?: string | undefined
  /** Epoch seconds: not before. */
  readonly from?: number | undefined
  /** Epoch seconds: before. */
  readonly to?: number | undefined
}

export interface AuditTrail {
  /**
   * Events by time, the oldest first: at most `limit`.
   *
   * @returns with them the place up to which it has looked, when there may be more behind it. A filter without an index
   *   looks at so many rows and no more: it must not hold up the store for others
   */
  page(filter: TrailFilter, page: PageOf): Promise<{ events: TrailEvent[]; lookedTo: Cursor | undefined }>
}
