import { FIRST_PARTY_CLIENT } from '../tokens/issue.ts'

// The revocation of the client that all direct logins have is the floor of everybody's versions: see `endEverybody`.

/** A condition: the row of `revocations` that holds the floor. */
export const IS_FLOOR = `kind = 'client' AND subject = '${FIRST_PARTY_CLIENT}'`

/** The lowest `token_version` that a new login may have; 0 before everybody was ever ended. */
export const VERSION_FLOOR = `COALESCE((SELECT min_version FROM revocations WHERE ${IS_FLOOR}), 0)`
