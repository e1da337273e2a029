import type { ClientStore } from './client-store.ts'

/** Milliseconds. A change made here is seen at once, one made elsewhere this much later; no script starts and changes something in less. */
const MEMORY_MS = 50
/** Clients at a time. */
const MAX_CLIENTS = 1000

export type Found = Awaited<ReturnType<ClientStore['forAuthentication']>>

export interface RememberedClients extends ClientStore {
  /** What `forAuthentication` found a moment ago, within the same second `now`. Good for a yes; a no must be asked of the store. */
  remembered(id: string, now: number): Found
}

/**
 * Remembers for a moment what a client has to show: machines ask for many tokens in a row, and for each one the way to
 * the store and back would take a tenth of the time. A token that a client got in the moment after it was disabled elsewhere is
 * refused like its others: it has their version.
 *
 * @param monotonic milliseconds that only go forward
 */
export function rememberClients(store: ClientStore, monotonic: () => number): RememberedClients {
  /** Only within the second of the clock in which it was found: secrets end by that clock. */
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
      if (found === undefined || seen !== changes) return found // it may have been read before the change
      if (memory.size >= MAX_CLIENTS) memory.clear()
      memory.set(id, { found, second, until })
      return found
    },
    rotateSecret: (...change) => store.rotateSecret(...change).then(forget),
    setStatus: (...change) => store.setStatus(...change).then(forget),
    remove: (...change) => store.remove(...change).then(forget),
  }
}
