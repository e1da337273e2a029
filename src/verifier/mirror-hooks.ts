import type { JwksCopy } from './keys/jwks-copy.ts'
import type { FeedNotes } from './store/feed-log.ts'

/** Gets what a verifier has verified, as it came: to serve it to others. */
export interface MirrorHooks {
  /** Notes the documents of the feed. */
  readonly feed: FeedNotes
  /** The JWKS that is used from now on. */
  keysCame(copy: JwksCopy): void
  /** At the start. @param keys searches for a kid that is not known, unless that was done a moment ago */
  begin(keys: { seek(kid: string): Promise<void> }): void
}
