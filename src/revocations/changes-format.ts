// Apart from the schema, which followers do not load.
export type { ChangesClaims } from './changes-schema.ts'

/**
 * `typ` of a document of the change stream. It differs from that of the feed, so that a part is never taken for the
 * whole (RFC 8725 section 3.11).
 */
export const CHANGES_TYPE = 'revocation-changes+jwt'

/** Media type of an answer: one or more compact JWS, each ended by a line feed. */
export const CHANGES_MEDIA_TYPE = 'application/revocations-seq'
