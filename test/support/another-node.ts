import type { Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { Config } from '../../src/config/config.ts'
import { type Database, type Row, type SqlValue, storeUnavailable } from '../../src/db/database.ts'
import type { App } from '../../src/http/app-type.ts'
import { createLogger } from '../../src/observability/logger.ts'
import type { TestServer } from './app.ts'

interface Options {
  readonly settings?: Partial<Config>
  readonly now?: Clock
  readonly routes?: (app: App) => void
}

/** The connection of a node to the shared store. */
export interface Link {
  /** Nothing goes through. */
  cut: boolean
  /** It sees no new revocations, as a node that has not looked yet. */
  deaf: boolean
}

export interface Node {
  readonly app: App
  readonly link: Link
  readonly log: string[]
}

/** A second node on the keys and the store of a test server, whose way to the store can be cut and mended. */
export async function anotherNode(t: Test, server: TestServer, options: Options = {}): Promise<Node> {
  const { settings = {}, now = systemClock, routes } = options
  const link: Link = { cut: false, deaf: false }
  const log: string[] = []
  const app = await buildApp({
    config: { ...server.config, ...settings },
    database: over(link, server.database),
    keyring: server.keyring,
    logger: await createLogger({
      level: 'info',
      readable: false,
      destination: { write: (line) => void log.push(line) },
    }),
    now,
    ...(routes && { routes }),
  })
  t.teardown(() => app.close())
  return { app, link, log }
}

function over(link: Link, database: Database): Database {
  const reach = <T>(work: () => Promise<T>) => (link.cut ? Promise.reject(storeUnavailable('cut')) : work())
  return {
    engine: database.engine,
    async query<R extends Row>(sql: string, params?: readonly SqlValue[]): Promise<R[]> {
      const rows = await reach(() => database.query<R>(sql, params))
      return link.deaf && /FROM revocations/.test(sql) ? rows.slice(0, 1).map((row) => ({ ...row, kind: null })) : rows
    },
    transaction: (statements, notify) => reach(() => database.transaction(statements, notify)),
    listen: (channel, onChange) => database.listen(channel, onChange),
    waiting: () => database.waiting(),
    close: () => database.close(),
  }
}
