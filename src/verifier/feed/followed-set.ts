import type { Refusal } from '../../errors/refusals.ts'
import type { ChangesClaims } from '../../revocations/changes-format.ts'
import { refusalOn, verdictOn } from '../../revocations/revocation-set.ts'
import { SegmentedMap } from '../../revocations/segmented-map.ts'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import type { Verdict } from '../../tokens/verify.ts'

/** What a document revokes. */
export type Entries = Pick<ChangesClaims, 'sessions' | 'accounts' | 'clients' | 'tokens'>

/** All tokens of an account or client below a version. */
interface Floor {
  readonly minVersion: number | null
  /** Of the document that said it. */
  readonly seq: number
  /** Epoch seconds. */
  readonly until: number
}

/** The same as plain objects by id. `sessions` and `tokens` have the instant until which they are kept. */
export interface PlainSet {
  readonly sessions: Record<string, number>
  readonly tokens: Record<string, number>
  readonly accounts: Record<string, Floor>
  readonly clients: Record<string, Floor>
}

/** Entries that are looked at in one go: some milliseconds. */
const SLICE = 5000

/** What is revoked by one history of numbers, each entry with the instant from which it is not needed any more. */
export class FollowedSet {
  readonly #sessions = new SegmentedMap<number>()
  readonly #tokens = new SegmentedMap<number>()
  readonly #accounts = new SegmentedMap<Floor>()
  readonly #clients = new SegmentedMap<Floor>()

  judge(claims: AccessTokenClaims): Verdict {
    return verdictOn(claims, this.#sessions, this.#tokens, this.#accounts, this.#clients)
  }

  /** @returns what refuses the token; undefined for a good one */
  refusalOn(claims: AccessTokenClaims): Refusal | undefined {
    return refusalOn(claims, this.#sessions, this.#tokens, this.#accounts, this.#clients)
  }

  /**
   * Adds the entries of a document. Documents may overlap and come late: of two versions of one account that of the
   * document with the higher `seq` counts, which is the later one.
   *
   * @param until epoch seconds
   */
  add({ sessions = [], tokens = [], accounts = {}, clients = {} }: Entries, seq: number, until: number): void {
    for (const id of sessions) putId(this.#sessions, id, until)
    for (const id of tokens) putId(this.#tokens, id, until)
    for (const [id, minVersion] of Object.entries(accounts)) putLater(this.#accounts, id, { minVersion, seq, until })
    for (const [id, minVersion] of Object.entries(clients)) putLater(this.#clients, id, { minVersion, seq, until })
  }

  /**
   * Adds what another history revoked: numbers of two histories can't be compared, so the stricter version counts.
   * Yields after each slice.
   *
   * @param most epoch seconds: nothing is kept for longer
   */
  *keep(other: FollowedSet, most: number): Generator<void> {
    for (const [mine, theirs] of [
      [this.#sessions, other.#sessions],
      [this.#tokens, other.#tokens],
    ] as const)
      for (const [id, until] of inSlices(theirs)) {
        if (id === undefined) yield
        else putId(mine, id, Math.min(until, most))
      }
    for (const [mine, theirs] of [
      [this.#accounts, other.#accounts],
      [this.#clients, other.#clients],
    ] as const)
      for (const [id, floor] of inSlices(theirs)) {
        if (id === undefined) yield
        else putStricter(mine, id, { ...floor, until: Math.min(floor.until, most) })
      }
  }

  /**
   * Forgets what is over. Yields after each slice.
   *
   * @param now epoch seconds, of a clock that does not take a step forward for the truth
   */
  *forget(now: number): Generator<void> {
    for (const ids of [this.#sessions, this.#tokens]) yield* slices(ids.deleting((until) => until <= now))
    for (const floors of [this.#accounts, this.#clients]) yield* slices(floors.deleting(({ until }) => until <= now))
  }

  get size(): number {
    return this.#sessions.size + this.#tokens.size + this.#accounts.size + this.#clients.size
  }

  plain(): PlainSet {
    return {
      sessions: Object.fromEntries(this.#sessions),
      tokens: Object.fromEntries(this.#tokens),
      accounts: Object.fromEntries(this.#accounts),
      clients: Object.fromEntries(this.#clients),
    }
  }

  /** The set that `plain` gave. */
  static of({ sessions, tokens, accounts, clients }: PlainSet): FollowedSet {
    const set = new FollowedSet()
    for (const [id, until] of Object.entries(sessions)) set.#sessions.set(id, until)
    for (const [id, until] of Object.entries(tokens)) set.#tokens.set(id, until)
    for (const [id, floor] of Object.entries(accounts)) set.#accounts.set(id, floor)
    for (const [id, floor] of Object.entries(clients)) set.#clients.set(id, floor)
    return set
  }
}

const BREAK = [undefined, undefined] as const

/** Takes the steps, and yields after each slice of them. */
function* slices(steps: Iterable<void>): Generator<void> {
  let left = SLICE
  for (const _ of steps) {
    left -= 1
    if (left > 0) continue
    left = SLICE
    yield
  }
}

/** The entries, and a pair of nothing after each slice. */
function* inSlices<V>(entries: SegmentedMap<V>): Generator<readonly [string, V] | typeof BREAK> {
  let left = SLICE
  for (const entry of entries) {
    yield entry
    left -= 1
    if (left > 0) continue
    left = SLICE
    yield BREAK
  }
}

function putId(ids: SegmentedMap<number>, id: string, until: number): void {
  ids.set(id, Math.max(until, ids.get(id) ?? 0))
}

function putLater(floors: SegmentedMap<Floor>, id: string, floor: Floor): void {
  put(floors, id, floor, (known) => known.seq <= floor.seq)
}

function putStricter(floors: SegmentedMap<Floor>, id: string, floor: Floor): void {
  const { minVersion } = floor
  put(floors, id, floor, (known) => {
    return minVersion === null || (known.minVersion !== null && minVersion > known.minVersion)
  })
}

/** @param wins whether the new one counts */
function put(floors: SegmentedMap<Floor>, id: string, floor: Floor, wins: (known: Floor) => boolean): void {
  const known = floors.get(id)
  if (known === undefined) floors.set(id, floor)
  else floors.set(id, { ...(wins(known) ? floor : known), until: Math.max(known.until, floor.until) })
}
