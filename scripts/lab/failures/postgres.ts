import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { OperatorError } from '../../../src/errors/app-error.ts'
import type { Answer, Command, Ready } from '../../../test/support/postgres-server.ts'

/** A real PostgreSQL that can be stopped. It ends with this process, however that ends. */
export interface Postgres {
  /** @returns the DATABASE_URL of a new, empty database */
  create(): Promise<string>
  stop(): Promise<void>
  start(): Promise<void>
  end(): void
}

export async function startPostgres(): Promise<Postgres> {
  const { PATH, TMPDIR } = process.env
  const path = fileURLToPath(new URL('../../../test/support/postgres-server.ts', import.meta.url))
  const child = fork(path, { env: { PATH, TMPDIR }, execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const answer = async (): Promise<{ ready: Ready } | 'done'> => {
    const ended = once(child, 'exit').then(() => [{ failed: 'PostgreSQL ended' }])
    const [message] = (await Promise.race([once(child, 'message'), ended])) as [Answer]
    if (message === 'done' || 'ready' in message) return message
    throw new OperatorError('failed' in message ? message.failed : 'PostgreSQL answered what was not asked')
  }
  const command = async (name: Command): Promise<void> => {
    child.send(name)
    await answer()
  }
  const ready = await answer()
  if (ready === 'done') throw new TypeError('PostgreSQL answered what was not asked')
  const { url } = ready.ready
  return {
    async create() {
      const name = `failures_${randomUUID().replaceAll('-', '')}`
      const client = new Client({ connectionString: `${url}postgres`, ssl: false })
      await client.connect()
      await client.query(`CREATE DATABASE ${name}`)
      await client.end()
      return url + name
    },
    stop: () => command('stop'),
    start: () => command('start'),
    end: () => child.disconnect(),
  }
}
