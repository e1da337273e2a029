import type { SignetClientError } from './errors.ts'
import type { Platform } from './platform.ts'
import type { SessionStorage } from './storage.ts'

/**
 * For the application's own telemetry, beside `onChange`. Nothing is sent anywhere by itself; no event holds a token.
 */
export type SessionEvent =
  /** A refresh brought nothing, and the session stays. The next one waits for `error.retryAfterMs`. */
  { readonly type: 'waiting'; readonly error: SignetClientError } | ({ readonly type: 'step-up' } & StepUp)

export type Emit = (event: SessionEvent) => void

/** A route asks for more than the token shows (RFC 9470). */
export interface StepUp {
  /** Seconds since the last login that the route allows; NaN when the answer did not say. */
  readonly maxAge: number
}

/** Options of `createSession`. The members of `Platform` replace what the platform has: for tests, or odd places. */
export interface SessionOptions extends Partial<Platform> {
  /** The address of the Signet server, with its path if it has one: `https://auth.example.com`. */
  readonly issuer: string
  /**
   * `cookie`: the refresh token is in an HttpOnly cookie; the default where there is a browser. `body`: it is in
   * `storage`; the default elsewhere.
   */
  readonly transport?: 'cookie' | 'body'
  /** For `body`. Default: memory. With `cookie` it is not used. */
  readonly storage?: SessionStorage
  /** Other origins that get the access token, for example `https://api.example.com`. The issuer's always gets it. */
  readonly apiOrigins?: readonly string[]
  /**
   * Called when a route asks for a recent login. Ask for the password, call `session.reauthenticate`, and return: the
   * request is then repeated. Without a new token the caller of `fetch` gets the 401. Requests that need it at once
   * share one call.
   */
  readonly onStepUp?: (demand: StepUp) => void | Promise<void>
  readonly onEvent?: (event: SessionEvent) => void
}
