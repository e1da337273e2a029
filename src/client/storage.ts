import type { Clock } from './clocks.ts'
import { SignetClientError } from './errors.ts'
import { isToken } from './judge-refresh.ts'

/** What the body transport keeps: plain JSON. It is a secret; an adapter must not put it where others can read it. */
export interface StoredSession {
  readonly refreshToken: string
  readonly accessToken: string
  readonly lifeMs: number
  /** Milliseconds since 1970, when it was stored. */
  readonly storedAtMs: number
}

/** Where the pair of tokens lives with `transport: 'body'`. Both calls may be synchronous or return a promise. */
export interface SessionStorage {
  /** What was stored last; null or undefined when there is nothing. */
  get(): StoredSession | null | undefined | Promise<StoredSession | null | undefined>
  /** Returns when the value is safe; null removes it. */
  set(value: StoredSession | null): void | Promise<void>
}

/** A storage that forgets everything when the process ends. */
export function memoryStorage(): SessionStorage {
  let stored: StoredSession | null = null
  return {
    get: () => stored,
    set(value) {
      stored = value
    },
  }
}

/** An adapter of somebody else, behind checks: what it returns is looked at, and what it throws has one code. */
export function createStore(storage: SessionStorage, clock: Clock) {
  const attempt = <T>(call: () => T | Promise<T>): Promise<T> =>
    Promise.resolve()
      .then(call)
      .catch((cause) => {
        throw new SignetClientError('storage_failed', { cause })
      })
  return {
    /**
     * @returns null when nothing is stored, or nothing that can be used
     * @throws SignetClientError `storage_failed`
     */
    async load(): Promise<StoredSession | null> {
      const value = await attempt(() => storage.get())
      return value && isToken(value.refreshToken) ? value : null
    },
    /**
     * @param value null removes what is there
     * @throws SignetClientError `storage_failed`: the pair must not be used
     */
    save: (value: Omit<StoredSession, 'storedAtMs'> | null): Promise<void> =>
      attempt(() => storage.set(value && { ...value, storedAtMs: clock.wall() })),
    /**
     * How much of the life of a stored access token is left, in milliseconds: more than 0 only when it lives. Only the
     * wall clock is shared between processes: if it is wrong the server refuses the token, and one refresh follows.
     */
    leftMs({ accessToken, lifeMs, storedAtMs }: StoredSession): number {
      const age = clock.wall() - storedAtMs
      return isToken(accessToken) && age >= 0 ? lifeMs - age : 0
    },
  }
}

export type Store = ReturnType<typeof createStore>
