import type { Test } from 'tap'
import type { AuditEntry } from '../../src/audit/audit.ts'
import { createAuditStore } from '../../src/audit/audit-store.ts'
import { bearer, startApp, type TestServer } from '../support/app.ts'
import { signUpAdmin } from '../support/front-door.ts'
import { NOW } from '../support/oauth.ts'
import { call, NOBODY } from '../support/people.ts'

// A server with an empty trail, and what the tests of the audit routes do with it.

export const LINES = { accept: 'application/x-ndjson' }
export const MEMBERS = [
  'id',
  'at',
  'event',
  'account_id',
  'session_id',
  'actor_id',
  'ip',
  'user_agent',
  'request_id',
  'detail',
]
export const YEAR_2026 = 1_767_225_600

export interface Event {
  readonly id: string
  readonly at: string
  readonly event: string
  readonly account_id: string | null
  readonly detail: Record<string, unknown>
}

export async function stage(t: Test) {
  const server = await startApp(t, { now: () => NOW })
  const { app } = server
  const { access_token: token } = await signUpAdmin(server)
  await server.database.query('DELETE FROM audit_events')
  const read = (query = '') => call(app, token, 'GET', `/v1/admin/audit${query}`)
  const lines = (query = '', accept: Record<string, string> = LINES) =>
    app.inject({ url: `/v1/admin/audit${query}`, headers: { ...bearer(token), ...accept } })
  return { ...server, token, read, lines }
}

export async function write(
  { database }: Pick<TestServer, 'database'>,
  entries: [at: number, entry: Partial<AuditEntry>][],
) {
  const store = createAuditStore(database)
  for (const [at, entry] of entries) await store.insert({ event: 'logout', source: NOBODY, ...entry }, at)
}

/** As `write`, for many: one statement. */
export const fill = ({ database }: Pick<TestServer, 'database'>, count: number, event = 'logout') =>
  database.query(
    `INSERT INTO audit_events (id, at, event, detail)
     WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1)
     SELECT printf('%s%07d', $2, 9999999 - i), ${YEAR_2026} + i / 10, $2, '{}' FROM n`,
    [count, event],
  )

export async function everyPage(read: (query: string) => ReturnType<typeof call>, query = '?'): Promise<Event[][]> {
  const pages: Event[][] = []
  for (let cursor = ''; ; ) {
    const { events, next_cursor } = (await read(`${query}${cursor}`)).json()
    pages.push(events)
    if (next_cursor === undefined) return pages
    cursor = `&cursor=${next_cursor}`
  }
}
export const parsed = (body: string): Event[] =>
  body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
