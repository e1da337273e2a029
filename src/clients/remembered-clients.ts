import type { ClientStore } from './client-store.ts'

/**
 * A change made in this process is seen at once, one made elsewhere after this time: less than a script takes to start.
 */
const MEMORY_MS = 50
const MAX_CLIENTS = 1000

export type Found = Awaited<ReturnType<ClientStore['forAuthentication']>>

export interface RememberedClients extends ClientStore {
  /**
   * The result of `forAuthentication` from a moment ago, within the same second `now`. It is good enough to accept a
   * credential; before refusing one, ask the store.
   */
  remembered(id: string, now: number): Found
}

/**
 * Remembers for a moment what a client's credentials are checked against. Machines ask for many tokens in a row, and
 * reading the store for each would take a tenth of the time. A token issued in the moment after the client was disabled
 * elsewhere is refused like its other tokens: it has the `token_version` from before.
 *
 * @param monotonic milliseconds that only go forward
 */
export function rememberClients(store: ClientStore, monotonic: () => number): RememberedClients {
  /** An entry is used only within the clock second in which it was read: secrets expire by that clock. */
  const memory = new Map<string, { found: Found; second: number; until: number }>()
  let changes = 0
  const forget = <T>(outcome: T): T => {
    changes += 1
    memory.clear()
    return outcome
  }

  return {
    ...store,
    remembered(id, second) {
      const known = memory.get(id)
      return known?.second === second && monotonic() < known.until ? known.found : undefined
    },
    async forAuthentication(id, second) {
      const [seen, until] = [changes, monotonic() + MEMORY_MS]
      const found = await store.forAuthentication(id, second)
      if (found === undefined || seen !== changes) return found // read, possibly, before the change
      if (memory.size >= MAX_CLIENTS) memory.clear()
      memory.set(id, { found, second, until })
      return found
    },
    rotateSecret: (...change) => store.rotateSecret(...change).then(forget),
    setStatus: (...change) => store.setStatus(...change).then(forget),
    remove: (...change) => store.remove(...change).then(forget),
  }
}
