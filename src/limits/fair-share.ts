/** Places that requests hold for a while, shared fairly between networks: those of a queue, for example. */
export interface FairShare {
  /** Why `network` gets no place now: all are taken, or it holds its share. Undefined when there is one. */
  refusal(network: string | undefined): 'full' | 'share' | undefined
  /** Takes a place. Ask `refusal` first, in the same turn of the event loop. */
  take(network: string | undefined): void
  /** Gives a place back. */
  leave(network: string | undefined): void
  readonly taken: number
}

/**
 * A network gets another place only while more places are free than it holds. So one network alone gets half of them,
 * two get a third each, and there is always room for one who holds none. Nothing has to be tuned, and no place stays
 * empty while many networks ask.
 *
 * @param places how many there are; 0 = none
 * @returns the places; without a network only their number counts, which is for work that no request asks for
 */
export function createFairShare(places: number): FairShare {
  const held = new Map<string, number>()
  let taken = 0
  return {
    refusal(network) {
      const free = places - taken
      if (free <= 0) return 'full'
      return network !== undefined && (held.get(network) ?? 0) >= free ? 'share' : undefined
    },
    take(network) {
      taken += 1
      if (network !== undefined) held.set(network, (held.get(network) ?? 0) + 1)
    },
    leave(network) {
      taken -= 1
      if (network === undefined) return
      const left = (held.get(network) ?? 0) - 1
      if (left > 0) held.set(network, left)
      else held.delete(network)
    },
    get taken() {
      return taken
    },
  }
}
