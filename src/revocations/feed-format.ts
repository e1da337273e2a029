// Apart from the schema, which followers do not load.
export type { FeedClaims, RevokedIds } from './feed-schema.ts'

/**
 * `typ` of the revocation feed, so that it can never be taken for a token, nor a token for it (RFC 8725 section 3.11).
 */
export const FEED_TYPE = 'revocations+jwt'
