/**
 * A Map that has grown to its limit is copied into one of twice the size, at once: at half a million entries that takes
 * a tenth of a second. So there are several of this size, 8 for a million entries.
 */
const SEGMENT_ENTRIES = 131_072

interface Segment<V> {
  readonly entries: Map<string, V>
  next: Segment<V> | undefined
}

/** A Map for a million entries that no single call changes for long. Entries stand in the order of the last `set`. */
export class SegmentedMap<V> {
  #first: Segment<V> = { entries: new Map(), next: undefined }
  #last = this.#first
  readonly #segmentEntries: number

  constructor(segmentEntries = SEGMENT_ENTRIES) {
    this.#segmentEntries = segmentEntries
  }

  get(key: string): V | undefined {
    for (let one: Segment<V> | undefined = this.#first; one !== undefined; one = one.next) {
      const value = one.entries.get(key)
      if (value !== undefined) return value
    }
    return undefined
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  get size(): number {
    let size = 0
    for (let one: Segment<V> | undefined = this.#first; one !== undefined; one = one.next) size += one.entries.size
    return size
  }

  /** The entry stands last from now on, wherever it stood before. */
  putLast(key: string, value: V & {}): void {
    for (let one: Segment<V> | undefined = this.#first; one !== undefined; one = one.next)
      if (one.entries.delete(key)) break
    if (this.#last.entries.size >= this.#segmentEntries) {
      this.#last.next = { entries: new Map(), next: undefined }
      this.#last = this.#last.next
    }
    this.#last.entries.set(key, value)
  }

  /** The entry keeps its place; a new one stands last. */
  set(key: string, value: V & {}): void {
    for (let one: Segment<V> | undefined = this.#first; one !== undefined; one = one.next)
      if (one.entries.has(key)) {
        one.entries.set(key, value)
        return
      }
    this.putLast(key, value)
  }

  /**
   * It may be read in parts while entries are put and deleted: one that is put meanwhile comes last, and none is
   * missed.
   */
  *[Symbol.iterator](): Generator<[string, V]> {
    // A segment that is dropped keeps its `next`: who stands in it goes on from there.
    for (let one: Segment<V> | undefined = this.#first; one !== undefined; one = one.next) yield* one.entries
  }

  /** Deletes entries, one for each step: take as many steps at a time as the event loop can spare. */
  *deleting(isOver: (value: V) => boolean): Generator<void> {
    let before: Segment<V> | undefined
    for (let one: Segment<V> | undefined = this.#first; one !== undefined; one = one.next) {
      for (const [key, value] of one.entries) {
        if (isOver(value)) one.entries.delete(key)
        yield
      }
      if (one.entries.size > 0 || one === this.#last) before = one
      else if (before === undefined) this.#first = one.next as Segment<V>
      else before.next = one.next
    }
  }
}
