import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import type { Database } from '../db/database.ts'
import type { LiveKeyring } from '../keys/live-keyring.ts'
import { hostOf } from './mail.ts'
import type { Composers } from './message.ts'
import { openTransport } from './open-transport.ts'
import { Outage } from './outage.ts'
import { createOutboxStore } from './outbox-store.ts'
import { createSender, MAX_AT_ONCE, type Sender } from './sender.ts'
import { openTexts } from './texts.ts'
import type { Transport } from './transport.ts'

export interface SenderParts {
  readonly config: Config
  readonly database: Database
  readonly keyring: Pick<LiveKeyring, 'refreshKeys'>
  readonly composers: Composers
  readonly logger: Logger
  readonly now: Clock
  /** Default: the one of MAIL_URL. */
  readonly transport?: Transport
}

/**
 * The sender that the settings ask for.
 *
 * @returns undefined when MAIL_URL is not set
 * @throws OperatorError when the texts or the secret of the webhook can't be used
 */
export async function openSender(parts: SenderParts): Promise<Sender | undefined> {
  const { config, database, keyring, composers, logger: log, now } = parts
  if (config.MAIL_URL === undefined) return undefined
  const outage = new Outage(now, MAX_AT_ONCE)
  const transport = parts.transport ?? (await openTransport(config, config.MAIL_URL))
  const texts = await openTexts(config)
  const host = hostOf(config.MAIL_FROM)
  const { CLOCK_SKEW: skew } = config
  const store = createOutboxStore(database)
  const keys = () => keyring.refreshKeys()
  return createSender({ store, composers, texts, transport, outage, keys, host, skew, now, log })
}
