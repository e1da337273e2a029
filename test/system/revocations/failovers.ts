import { createServer, connect as dial, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import type { Test } from 'tap'
import type { Database } from '../../../src/db/database.ts'
import { ENGINES, openNode } from '../../support/engines.ts'
import {
  administer as administerPostgres,
  crashPostgres,
  postgresUrl,
  startPostgres,
  startStandby,
} from '../../support/postgres.ts'

export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await pause(20)
}

/** How the store of a world loses its last transactions. */
export interface Failover {
  readonly url: string
  /** From now on everything that is committed will be lost. */
  fallBehind(): Promise<void>
  /**
   * Loses it. Before the servers look, other transactions take as many numbers and more.
   *
   * @param overtake is given the store as it went back
   */
  goBack(overtake: (database: Database) => Promise<void>): Promise<void>
}

export async function postgresFailover(t: Test): Promise<Failover> {
  const primary = new URL(await postgresUrl(t))
  const standby = new URL(await startStandby())
  const name = primary.pathname
  const client = new Client({ connectionString: `${standby.href}postgres`, ssl: false })
  client.on('error', () => undefined)
  await client.connect()
  t.teardown(() => client.end())
  const onStandby = async (sql: string) => (await client.query(sql)).rows
  const proxy = await tcpProxy(t, Number(primary.port))
  const url = new URL(primary)
  url.port = String(proxy.port)
  return {
    url: url.href,
    async fallBehind() {
      const [{ lsn } = {}] = await administerPostgres('SELECT pg_current_wal_lsn()::text AS lsn')
      const isThere = `SELECT pg_last_wal_replay_lsn() >= '${lsn}'::pg_lsn AS there`
      await until(async () => (await onStandby(isThere))[0]?.there === true)
      await onStandby("ALTER SYSTEM SET primary_conninfo = ''")
      await onStandby('SELECT pg_reload_conf()')
      await until(async () => (await onStandby('SELECT pid FROM pg_stat_wal_receiver')).length === 0)
    },
    async goBack(overtake) {
      proxy.cut()
      await crashPostgres()
      t.teardown(startPostgres)
      await onStandby('SELECT pg_promote(true)')
      const promoted = await openNode(t, standby.href.replace(/\/$/, name))
      await overtake(promoted)
      proxy.to(Number(standby.port))
    },
  }
}

async function tcpProxy(t: Test, first: number) {
  let target: number | undefined = first
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    if (target === undefined) return void socket.destroy()
    const there = dial(target, '127.0.0.1')
    for (const [one, other] of [
      [socket, there],
      [there, socket],
    ] as const) {
      open.add(one)
      one.on('error', () => undefined)
      one.on('close', () => {
        open.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = () => {
    target = undefined
    for (const socket of open) socket.destroy()
  }
  t.teardown(() => {
    cut()
    server.close()
  })
  const to = (port: number) => {
    target = port
  }
  return { port: (server.address() as { port: number }).port, cut, to }
}

export async function sqliteFailover(t: Test): Promise<Failover> {
  const url = await (ENGINES[0] as (typeof ENGINES)[number]).url(t)
  const TABLES = [
    'revocation_head',
    'revocation_log',
    'revocations',
    'clients',
    'client_secrets',
    'accounts',
    'sessions',
    'audit_events',
  ]
  const kept: { sql: string; params: (string | number | null)[] }[] = []
  const database = await openNode(t, url)
  return {
    url,
    async fallBehind() {
      for (const table of TABLES)
        for (const row of await database.query(`SELECT * FROM ${table}`)) {
          const names = Object.keys(row)
          const places = names.map((_, index) => `$${index + 1}`)
          const sql = `INSERT INTO ${table} (${names.join(', ')}) VALUES (${places.join(', ')})`
          kept.push({ sql, params: names.map((name) => row[name] ?? null) })
        }
    },
    async goBack(overtake) {
      const empty = [...TABLES].reverse().map((table) => ({ sql: `DELETE FROM ${table}` }))
      await database.transaction([...empty, ...kept])
      await overtake(database)
    },
  }
}
