import type { HeldSession } from './held-session.ts'
import type { Emit, SessionOptions } from './options.ts'
import type { Platform } from './platform.ts'
import type { Renewal } from './renewal.ts'
import type { Requests } from './requests.ts'
import type { Store } from './storage.ts'
import type { Tabs } from './tabs.ts'

/** What a session is made of, in the order in which it is made: each part may use those above it. */
export interface Given {
  readonly issuer: string
  readonly isCookie: boolean
  /** Who gets the access token. */
  readonly origins: ReadonlySet<string>
  readonly onStepUp: SessionOptions['onStepUp']
  readonly emit: Emit
  readonly platform: Platform
  /** Undefined with the cookie transport. */
  readonly store: Store | undefined
}
export interface Basis extends Given {
  readonly held: HeldSession
  readonly requests: Requests
}
export interface Shared extends Basis {
  readonly tabs: Tabs
}
export interface Parts extends Shared {
  readonly renewal: Renewal
}
