import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import type { Database } from '../db/database.ts'
import type { LiveKeyring } from '../keys/live-keyring.ts'
import type { Composers } from '../messages/message.ts'

/** What composers are made of: the same in a server, in the primary of several workers, and in tests. */
export interface ComposerParts {
  readonly config: Config
  /** Commits of this one write audit log lines. */
  readonly database: Database
  readonly keyring: LiveKeyring
  readonly now: Clock
}

/** The composers of all kinds of messages. */
export function createComposers(_parts: ComposerParts): Composers {
  return {}
}
