// The limits of this package. They stand in a file without imports, because a bundler writes such numbers where they
// are used, and the package has a limit of size.

/** No token is given out that has less than this left, or a tenth of its life if that is less. */
export const MARGIN_MS = 5000
/** After a new token was refused as well, refusals lead to no refresh for this long: it does not help. */
export const NO_FORCE_MS = 30_000
/** When the network comes back, it does so for many: they spread over this time. */
export const WAKE_SPREAD_MS = 3000
/** How long a request to the issuer may take, with its answer. */
export const REQUEST_TIMEOUT_MS = 10_000
/** How long a tab waits for the lock before it takes it from its holder, plus up to a third: a frozen tab holds it. */
export const LOCK_WAIT_MS = 15_000
/** How long a tab waits for a token of the other tabs before it asks the server. */
export const ANSWER_WAIT_MS = 50
/** How often another process may change the storage under one refresh before it gives up for now. */
export const MAX_TURNS = 3
