import type { SetEntry } from './revocation-set.ts'

/** What a node that follows the store reports. */
export type FollowEvent =
  /** The store can't be read. Once, until it can be read again. */
  | { readonly lost: unknown }
  /** The store can be read again. */
  | { readonly found: true }
  /** The store went back, and everything was read again. It lacks these entries of the set. */
  | { readonly changed: HistoryChange; readonly lacking: readonly SetEntry[] }
  /** The store went back, and no new history could be begun. Once, until one is. */
  | { readonly stuck: unknown }

export interface HistoryChange {
  /** The history before, and the last number that was read of it. */
  readonly from: string
  readonly seq: number
  readonly to: string
}
