import type { Database } from '../../src/db/database.ts'
import { randomId } from '../../src/ids.ts'
import { readRefreshKeys } from '../../src/keys/refresh-keys.ts'
import type { Letter } from '../../src/messages/message.ts'
import { seal } from '../../src/messages/seal.ts'

/**
 * Puts messages into the outbox that are composed already and due: what a server makes of them is to deliver them.
 *
 * @param keysDir of the server, which opens them
 * @returns their ids
 */
export async function writeLetters(database: Database, keysDir: string, count: number): Promise<string[]> {
  const keys = await readRefreshKeys({ dir: keysDir, passphrase: undefined })
  const now = Math.floor(Date.now() / 1000)
  const ids = Array.from({ length: count }, randomId)
  for (const id of ids) {
    const letter: Letter = {
      messageId: `${id}@signet.test`,
      to: `${id}@example.com`,
      subject: 'Hello',
      text: `${id}\n`,
      html: '',
      language: 'en',
      kind: 'recovery',
      data: {},
      date: now,
    }
    const sealed = await seal(keys, now, id, { letter: JSON.stringify(letter) })
    await database.query(
      `INSERT INTO outbox (id, kind, state, created_at, sealed, attempts, next_attempt_at, claimed_until)
       VALUES ($1, 'recovery', 'composed', $2, $3, 0, $2, 0)`,
      [id, now, sealed],
    )
  }
  return ids
}
