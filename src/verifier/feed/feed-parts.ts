import type { StopSignal } from '../../timers.ts'
import type { RemoteKeys } from '../keys/remote-keys.ts'
import type { Resolved } from '../options.ts'
import { FeedInStore } from '../store/feed-in-store.ts'
import { FeedLog } from '../store/feed-log.ts'
import { StoreEntry } from '../store/store-entry.ts'
import { MAX_STORED_CHARACTERS } from '../store/verifier-store.ts'
import { FeedCopy } from './feed-copy.ts'
import { FeedLook } from './feed-look.ts'

/** For the first line of a text. */
const HEAD_CHARACTERS = 16 * 1024

/** A copy of the feed, what asks the issuer for it, and, with a store, what keeps it there. */
export function feedParts(
  options: Resolved,
  uri: URL,
  keys: RemoteKeys,
  monotonic: () => number,
  signal: StopSignal,
): { readonly copy: FeedCopy; readonly look: FeedLook; readonly stored: FeedInStore | undefined } {
  const { store, policy, mirrored } = options
  const copy = new FeedCopy(policy.skew)
  const common = { options, keys, copy, signal }
  if (store === undefined)
    return { copy, look: new FeedLook({ ...common, uri, monotonic, log: mirrored?.feed }), stored: undefined }
  const log = new FeedLog(MAX_STORED_CHARACTERS - HEAD_CHARACTERS)
  const entry = new StoreEntry(store, 'feed', uri, options, monotonic, signal)
  return {
    copy,
    look: new FeedLook({ ...common, uri, monotonic, log }),
    stored: new FeedInStore({ ...common, entry, log }),
  }
}
