import { type Clock, systemClock } from '../../src/clock.ts'
import type { Composers, Letter } from '../../src/messages/message.ts'
import { openSender } from '../../src/messages/open-sender.ts'
import type { Transport } from '../../src/messages/transport.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { createComposers } from '../../src/recovery/composers.ts'
import type { TestServer } from './app.ts'

/** A transport that keeps what it gets. */
export function collecting(): Transport & { readonly letters: Letter[] } {
  const letters: Letter[] = []
  return {
    letters,
    deliver: async (letter) => {
      letters.push(letter)
      return {}
    },
    close: () => undefined,
  }
}

/** A logger that writes into a list. */
export const logTo = (log: string[]) =>
  createLogger({ readable: false, level: 'info', destination: { write: (line) => void log.push(line) } })

/**
 * Sends all messages of a server that are due, as its sender would. A server of `startApp` sends nothing by itself.
 *
 * @param options.composers Default: those of the server
 * @returns what was delivered, in any order
 */
export async function deliverMessages(
  { config, database, keyring, log }: TestServer,
  { now = systemClock, composers }: { now?: Clock; composers?: Composers } = {},
): Promise<Letter[]> {
  const transport = collecting()
  const parts = { config, database, keyring, now }
  const logger = await createLogger({
    readable: false,
    level: 'info',
    destination: { write: (line) => log.push(line) },
  })
  const sender = await openSender({ ...parts, logger, transport, composers: composers ?? createComposers(parts) })
  await sender?.sendDue()
  await sender?.stop()
  return transport.letters
}
