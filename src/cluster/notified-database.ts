import type { Database } from '../db/database.ts'

/** How the processes of one server notify each other of a commit. */
export interface Notifications {
  /** Resolves when the others have read the change, or after a moment if one does not answer. Never rejects. */
  publish(channel: string): Promise<void>
  /** @returns a function that stops it */
  subscribe(channel: string, onChange: () => unknown): () => void
}

/**
 * The same database, whose notifications also reach the other processes of this server. They do so before the call
 * resolves, so that a token which the answer says is revoked is refused by every worker.
 */
export function notifiedDatabase(database: Database, { publish, subscribe }: Notifications): Database {
  return {
    engine: database.engine,
    query: (sql, params) => database.query(sql, params),
    async transaction(statements, notify) {
      const results = await database.transaction(statements, notify)
      if (notify !== undefined) await publish(notify)
      return results
    },
    listen(channel, onChange) {
      const stops = [database.listen(channel, onChange), subscribe(channel, onChange)]
      return () => {
        for (const stop of stops) stop()
      }
    },
    waiting: () => database.waiting(),
    close: () => database.close(),
  }
}

export interface LocalNotifications extends Notifications {
  /**
   * Resolves when every subscriber of the channel in this process has read the change. Without a channel: every
   * subscriber.
   */
  arrived(channel?: string): Promise<void>
}

/** @param tellOthers notifies the other processes */
export function createNotifications(tellOthers: (channel: string) => Promise<void>): LocalNotifications {
  const subscriptions = new Set<{ readonly channel: string; readonly onChange: () => unknown }>()
  return {
    publish: (channel) => tellOthers(channel).catch(() => undefined), // the others poll as well
    subscribe(channel, onChange) {
      const subscription = { channel, onChange }
      subscriptions.add(subscription)
      return () => subscriptions.delete(subscription)
    },
    async arrived(channel) {
      const concerned = [...subscriptions].filter((one) => channel === undefined || one.channel === channel)
      await Promise.allSettled(concerned.map(async ({ onChange }) => onChange()))
    },
  }
}
