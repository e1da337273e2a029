import { setTimeout as sleep } from 'node:timers/promises'
import { type AppOptions, buildApp } from '../app.ts'
import type { Config } from '../config/config.ts'
import { OperatorError } from '../errors/app-error.ts'
import type { App } from '../http/app-type.ts'
import { arrivalsRead, endConnectionsWithAnswers } from '../http/drain.ts'
import { followKeys } from '../keys/follow-keys.ts'
import type { Observability } from '../observability/start-observability.ts'
import type { Booted } from './boot.ts'
import { tuneLoaded, tuneServing } from './runtime-tuning.ts'
import { messageSender } from './send-messages.ts'

interface Server extends Booted, Pick<AppOptions, 'limiter' | 'runsMaintenance'> {
  readonly observability: Observability
  /** False when another process sends the messages. Default: true. */
  readonly sendsMessages?: boolean
  /** Awaited before the first connection is accepted. */
  readonly beforeListening?: () => Promise<void>
}

/**
 * Builds the app, listens, and follows the keys folder.
 *
 * @returns a function that stops the server. It waits SHUTDOWN_DELAY for load balancers, lets requests in flight
 *   finish, and then closes everything. With `atOnce`, after an error, it does not wait
 * @throws OperatorError when it can't listen
 */
export async function serve(server: Server): Promise<(how: { atOnce: boolean }) => Promise<void>> {
  const { folder, database, keyring, observability, sendsMessages = true, beforeListening, ...parts } = server
  let stopping = false
  const sender = sendsMessages ? await messageSender(server) : undefined
  const app = await buildApp({
    database,
    keyring,
    ...parts,
    ...observability.parts,
    isStopping: () => stopping,
  })
  tuneLoaded()
  await beforeListening?.()
  await listen(app, server.config)
  sender?.start()
  tuneServing()
  const unfollow = followKeys(folder, keyring.reload)
  process.on('SIGHUP', keyring.reload)
  return async ({ atOnce }) => {
    stopping = true
    endConnectionsWithAnswers(app)
    if (!atOnce) {
      await sleep(server.config.SHUTDOWN_DELAY * 1000)
      await arrivalsRead(app) // requests that have arrived but are not read yet are in flight too
    }
    unfollow()
    await Promise.all([app.close(), sender?.stop()])
    await database.close()
    await observability.close()
  }
}

async function listen(app: App, { HOST, PORT }: Config): Promise<void> {
  try {
    await app.listen({ host: HOST, port: PORT, listenTextResolver: (address) => `listening at ${address}` })
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const inUse = code === 'EADDRINUSE'
    throw new OperatorError(
      inUse ? `PORT: ${PORT} on ${HOST} is in use` : `HOST, PORT: can't listen on ${HOST}:${PORT}: ${code}`,
      {
        cause,
        hint: inUse
          ? 'stop the other program, or set PORT (0 takes a free one)'
          : 'HOST must be an address of this machine, and PORT one that this user may take',
      },
    )
  }
}
