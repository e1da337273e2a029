const SHARDS = 32

/**
 * A Map for up to millions of ids, in parts. A Map that is full makes a larger one and moves every entry, which takes a
 * tenth of a second for a million of them; a part takes a few milliseconds.
 */
export class ShardedMap<V> {
  readonly #shards = Array.from({ length: SHARDS }, () => new Map<string, V>())
  #size = 0

  get(id: string): V | undefined {
    return this.#shardOf(id).get(id)
  }

  has(id: string): boolean {
    return this.#size > 0 && this.#shardOf(id).has(id)
  }

  set(id: string, value: V): void {
    const shard = this.#shardOf(id)
    const before = shard.size
    shard.set(id, value)
    this.#size += shard.size - before
  }

  /** Safe while the map is being read: what was deleted is not read any more. */
  delete(id: string): void {
    if (this.#shardOf(id).delete(id)) this.#size -= 1
  }

  get size(): number {
    return this.#size
  }

  *[Symbol.iterator](): Generator<[string, V]> {
    for (const shard of this.#shards) yield* shard
  }

  /** By characters near the end: ids often begin alike, and the last character of base64url may have few values. */
  #shardOf(id: string): Map<string, V> {
    const at = id.length - 2
    const hash = id.charCodeAt(at) * 7 + id.charCodeAt(at - 1) // NaN where the id is too short
    return this.#shards[hash % SHARDS || 0] as Map<string, V>
  }
}
