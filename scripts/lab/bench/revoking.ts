import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../../src/clock.ts'
import { phase } from '../../../src/keys/keyring.ts'
import { readKeyring } from '../../../src/keys/manifest.ts'
import { readPrivateKey } from '../../../src/keys/private-keys.ts'
import type { Bench } from './figure.ts'
import { type Content, fill } from './full-store.ts'
import { grant, issuerOf } from './mint.ts'
import { makeHome, type Server, serverKeys, startSignet } from './server-process.ts'

/** The folder of a server that has content already. */
export async function filledHome(bench: Bench, content: Content): Promise<string> {
  const home = await makeHome(bench)
  const once = await startSignet(bench, home) // makes the tables
  await once.child.stop()
  using db = new DatabaseSync(join(home, 'signet.db'))
  fill(db, content)
  return home
}

/** A token for each session of the store. */
export async function tokensOfSessions({ origin }: Server, home: string, count: number): Promise<string[]> {
  const folder = serverKeys(home)
  const current = (await readKeyring(folder)).find((entry) => phase(entry, systemClock()) === 'current')
  const issue = issuerOf(origin, current?.kid ?? '', await readPrivateKey(folder, current?.kid ?? ''), 900)
  using db = new DatabaseSync(join(home, 'signet.db'), { readOnly: true })
  const rows = db.prepare('SELECT id, account_id FROM sessions WHERE ended_at IS NULL LIMIT ?').all(count)
  const tokens = rows.map(({ id, account_id }) => issue({ ...grant(), sub: String(account_id), sid: String(id) }))
  return (await Promise.all(tokens)).map(({ token }) => token)
}

/**
 * Logs the sessions out, evenly spaced.
 *
 * @returns when each logout was answered, epoch milliseconds, in order
 */
export async function logOutAtPace(
  { origin }: Server,
  tokens: readonly string[],
  perSecond: number,
): Promise<number[]> {
  const answered: Promise<number>[] = []
  const began = performance.now()
  for (const [i, token] of tokens.entries()) {
    await sleep(Math.max(0, began + (i * 1000) / perSecond - performance.now()))
    answered.push(logOut(origin, token))
  }
  return Promise.all(answered)
}

export async function logOut(origin: string, token: string): Promise<number> {
  const reply = await fetch(`${origin}/v1/logout`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
  const at = performance.timeOrigin + performance.now()
  if (reply.status !== 204) throw new Error(`logout: ${reply.status} ${await reply.text()}`)
  return at
}
