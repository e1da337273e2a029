import { createFetch } from './authorized-fetch.ts'
import type { Claims } from './claims.ts'
import { SignetClientError } from './errors.ts'
import { createHeldSession, type Listener, type State } from './held-session.ts'
import type { Emit, SessionOptions } from './options.ts'
import { checkedIssuer, checkedOrigins } from './origins.ts'
import type { Given, Parts } from './parts.ts'
import { isBrowser, platformOf } from './platform.ts'
import { createRenewal } from './renewal.ts'
import { createRequests } from './requests.ts'
import { type Credentials, createSignIn, type EmailChange, type LogoutScope, type Proof } from './sign-in.ts'
import { createStore, memoryStorage } from './storage.ts'
import { createTabs } from './tabs.ts'

/** One person's session in this place. Every method that rejects does so with a SignetClientError. */
export interface Session {
  /** `unknown` before `start()` and while no token can be had; `signed-out` only when the session is over. */
  readonly state: State
  /** The claims of the last access token, **not verified**; null when nobody is signed in. */
  readonly claims: Claims | null
  /** Finds an existing session. Does not reject when the server can't be reached: the state is then `unknown`. */
  start(): Promise<State>
  login(credentials: Credentials): Promise<void>
  /**
   * Makes an account and logs in. `confirm-email`: the server has sent a message, or none if the address has an
   * account; nobody is signed in. After `confirmEmail()` the person logs in.
   */
  register(credentials: Credentials): Promise<'signed-in' | 'confirm-email'>
  /**
   * Like the platform's `fetch`, with the access token for the API's origins. Renews the token before it ends, and
   * repeats a request once after 401 with a new one. Rejects with `retryAfterMs` when no token can be had now.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>
  /** A token that is good for some seconds more, or null when there is none now: `state` tells why. */
  token(): Promise<string | null>
  /** Renews now. Everybody who asks meanwhile shares the one request. */
  refresh(): Promise<void>
  /** Ends sessions. When it rejects, it may not have happened: this session goes on, and you can try again. */
  logout(scope?: LogoutScope): Promise<void>
  /** Shows the password again: the same session, with a login of now. Rejects with `invalid_credentials`. */
  reauthenticate(password: string): Promise<void>
  /** Asks for a message to set a new password. Resolves also when the address has no account: nobody learns that. */
  recover(email: string): Promise<void>
  /**
   * Sets a new password. Every session of the account ends, none begins: the person logs in. Rejects with
   * `invalid_recovery_token`, or with `password_unacceptable`: then another password will do.
   */
  confirmRecovery(proof: Proof & { readonly newPassword: string }): Promise<void>
  /** Confirms the address of a new account, or of `changeEmail()`. Rejects with `invalid_recovery_token`. */
  confirmEmail(proof: Proof): Promise<void>
  /**
   * Asks for another address. Nothing changes until the new one is confirmed. If the login is too old for that, it is
   * renewed with the password. Rejects with `invalid_credentials`.
   */
  changeEmail(change: EmailChange): Promise<void>
  /** "This was not me": takes the token of a notice and ends every session. Rejects with `invalid_recovery_token`. */
  notMe(token: string): Promise<void>
  /** Calls at every change and every new token. @returns a function that stops that */
  onChange(listener: Listener): () => void
  /** Forgets everything in memory and stops listening. The session on the server goes on. */
  close(): void
}

/**
 * Makes the object that holds a session. It asks nobody before `start()` or the first use.
 *
 * @throws TypeError for an option that can't work
 */
export function createSession(options: SessionOptions): Session {
  const { transport = isBrowser() ? 'cookie' : 'body', storage = memoryStorage(), apiOrigins, onStepUp } = options
  const issuer = checkedIssuer(options.issuer)
  const isCookie = transport === 'cookie'
  if (!isCookie && transport !== 'body') throw new TypeError(`transport: not known: ${transport}`)
  const origins = checkedOrigins(issuer, apiOrigins)
  const platform = platformOf(options)
  const emit: Emit = (event) => queueMicrotask(() => options.onEvent?.(event))
  const store = isCookie ? undefined : createStore(storage, platform.clock)

  const given: Given = { issuer, isCookie, origins, onStepUp, emit, platform, store }
  const parts = given as { -readonly [Part in keyof Parts]: Parts[Part] } // each is made of those before it
  const held = createHeldSession(platform)
  parts.held = held
  parts.requests = createRequests(parts)
  const tabs = createTabs(parts)
  parts.tabs = tabs
  const renewal = createRenewal(parts)
  parts.renewal = renewal
  /** Nothing also when none can be had now. */
  const access = () => renewal.access().catch(() => undefined)
  return {
    ...createSignIn(parts),
    get state() {
      return held.state()
    },
    get claims() {
      return held.current()?.claims ?? null
    },
    start: () => access().then(held.state),
    fetch: createFetch(parts),
    token: () => access().then((found) => found?.token ?? null),
    async refresh() {
      await renewal.refresh()
      if (held.isOver()) throw new SignetClientError('signed_out')
    },
    onChange: held.onChange,
    close() {
      renewal.close()
      tabs.close()
    },
  }
}
