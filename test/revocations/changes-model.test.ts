import fc from 'fast-check'
import t from 'tap'
import { generatePrivateKey } from '../../src/keys/private-keys.ts'
import { linesOf } from '../../src/revocations/change-whole.ts'
import { Changes } from '../../src/revocations/changes.ts'
import { createIssuedAt } from '../../src/revocations/issued-at.ts'
import { RecentRevocations } from '../../src/revocations/recent-revocations.ts'
import type { Revocation, RevocationKind } from '../../src/revocations/revocation.ts'
import { RevocationSet } from '../../src/revocations/revocation-set.ts'
import { ModelFollower } from './model-follower.ts'

const NOW = 1_800_000_000
const TTL = 60
const key = await generatePrivateKey(2048)

/** What all nodes share: the rows, and the keys that were revoked. */
class Store {
  history = 'history-1'
  histories = 1
  seq = 0
  count = 0
  now = NOW
  rows: Revocation[] = []
  revokedKids: string[] = []

  revoke(kind: RevocationKind, n: number): void {
    this.seq += 1
    this.count += 1
    const versioned = kind === 'account' || kind === 'client'
    const subject = versioned ? `${kind}-${n % 3}` : `${kind}-${this.count}`
    const row = { kind, subject, minVersion: versioned ? this.count : null, seq: this.seq, expiresAt: this.now + 1000 }
    this.rows = [...this.rows.filter((one) => one.kind !== kind || one.subject !== subject), row]
  }

  /** A standby takes over that had missed the last revocations. */
  goBack(lost: number): void {
    this.histories += 1
    this.history = `history-${this.histories}` // never the same again: the real one is random
    this.seq = Math.max(0, this.seq - lost)
    this.rows = this.rows.filter(({ seq }) => seq <= this.seq)
  }
}

/** A node of the issuer: it knows what it has read. */
class Node {
  readonly set = new RevocationSet()
  readonly recent = new RecentRevocations()
  seq = 0
  history: string
  kids: readonly string[] = []
  readonly changes: Changes
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
    this.history = store.history
    this.read()
    const { set, recent } = this
    const node = this
    const revocations = {
      get seq() {
        return node.seq
      },
      get history() {
        return node.history
      },
      get size() {
        return set.size
      },
      recent,
      entries: (now: number) => set.entries(now),
      age: () => 0,
    }
    this.changes = new Changes({
      issuer: 'https://signet.example',
      ttl: TTL,
      keyring: {
        signingKey: () => ({ kid: `kid-${this.kids.length}`, key }) as never,
        revokedKids: () => this.kids,
        verificationPem: (kid) => (this.kids.includes(kid) ? undefined : 'a key'),
      },
      revocations,
      issuedAt: createIssuedAt(revocations, () => store.now, 30),
      monotonic: () => store.now * 1000,
    })
  }

  /** Reads what is new, at most `limit` rows: a look may find the rest later. */
  read(limit = Number.POSITIVE_INFINITY): void {
    const { rows, history, seq, revokedKids } = this.#store
    const after = history === this.history ? this.seq : 0
    const found = rows.filter((row) => row.seq > after).slice(0, limit)
    for (const row of found) {
      this.set.add(row)
      this.recent.add(row)
    }
    this.seq = found.length < limit ? seq : (found.at(-1)?.seq ?? seq)
    this.history = history
    this.kids = [...revokedKids]
    this.changes?.looked()
  }

  async ask(follower: ModelFollower): Promise<void> {
    const { whole, lines } = await this.changes.answer(follower.cursor)
    const all = [...(whole ? linesOf(whole, whole.pages.length) : []), ...lines]
    follower.apply(Buffer.concat(all).toString())
  }

  /** What it refuses, in the form of the follower. */
  get entries(): Map<string, number | null> {
    const found = [...this.set.entries(0)]
    return new Map(found.map(({ kind, subject, minVersion }) => [`${kind}:${subject}`, minVersion]))
  }
}

const at = fc.nat({ max: 2 })
/** `all`: something is revoked, and everybody learns of it. `withdrawKey`: the one that signs, or another. */
const step = fc.oneof(
  fc.record({ revoke: fc.constantFrom('session', 'account', 'client', 'token'), n: fc.nat({ max: 5 }) }),
  fc.record({ read: at, limit: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ take: at }),
  fc.record({ ask: at, follower: at }),
  fc.record({ boot: at }),
  fc.record({ pass: fc.nat({ max: 40 }) }),
  fc.record({ withdrawKey: fc.boolean() }),
  { arbitrary: fc.record({ all: at }), weight: 4 },
)
const stepOfFailover = fc.record({ goBack: fc.nat({ max: 3 }) })
type Step = Partial<
  Record<'n' | 'read' | 'limit' | 'take' | 'ask' | 'follower' | 'boot' | 'pass' | 'goBack' | 'all', number>
> & {
  revoke?: RevocationKind
  withdrawKey?: boolean
}

async function play(steps: readonly Step[]) {
  const store = new Store()
  const nodes = [0, 1, 2].map(() => new Node(store))
  const followers = [0, 1, 2].map(() => new ModelFollower())
  const node = (i = 0) => nodes[i] as Node
  for (const {
    revoke,
    n = 0,
    read,
    limit,
    take,
    ask,
    follower = 0,
    boot,
    pass = 0,
    withdrawKey,
    goBack,
    all,
  } of steps) {
    if (revoke !== undefined) store.revoke(revoke, n)
    if (read !== undefined) node(read).read(limit)
    if (take !== undefined) node(take).changes.take()
    if (ask !== undefined) await node(ask).ask(followers[follower] as ModelFollower)
    if (boot !== undefined) nodes[boot] = new Node(store)
    if (all !== undefined) {
      store.revoke('session', n)
      for (const one of nodes) one.read()
      for (const one of nodes) one.changes.take()
      for (const one of followers) await node(all).ask(one)
    }
    if (withdrawKey === false) store.revokedKids.push(`other-${store.revokedKids.length}`)
    if (withdrawKey) store.revokedKids.push(`kid-${store.revokedKids.length}`)
    if (goBack !== undefined) store.goBack(goBack)
    store.now += pass
  }
  store.now += 1
  for (const one of nodes) {
    one.read()
    one.changes.take()
  }
  // At the end each follower asks one of the nodes, until it is told that there is nothing more.
  for (const [i, one] of followers.entries()) {
    const last = node(i)
    for (let asked = 0; asked < 3; asked += 1) await last.ask(one)
    if (last.changes.isBehind(one.cursor)) throw new Error(`follower ${i} is still behind`)
    if (one.held.exp <= store.now) throw new Error(`follower ${i} is not fresh`)
    if ([...one.keys].sort().join() !== [...store.revokedKids].sort().join()) throw new Error(`keys of ${i}`)
  }
  return { store, nodes, followers }
}

const sorted = (entries: Map<string, number | null>) => JSON.stringify([...entries].sort())

t.test('whatever happens in whatever order, each follower refuses what its node refuses', async (t) => {
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { nodes, followers } = await play(steps)
        for (const [i, one] of followers.entries()) {
          if (sorted(one.entries) !== sorted((nodes[i] as Node).entries)) throw new Error(`follower ${i} differs`)
          if (one.gaps > 0) throw new Error(`follower ${i} found a gap`)
        }
      }),
      { numRuns: 40 },
    ),
  )
})

t.test('after the store went back each follower refuses all that is revoked in it', async (t) => {
  await t.resolves(
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ arbitrary: step, weight: 6 }, stepOfFailover), { maxLength: 30 }),
        async (steps) => {
          const { store, followers } = await play(steps)
          for (const [i, one] of followers.entries())
            for (const { kind, subject, minVersion: version } of store.rows) {
              const name = `${kind}:${subject}`
              const known = one.entries.get(name)
              const isCovered = known === null || (known !== undefined && version !== null && known >= version)
              if (!isCovered) throw new Error(`follower ${i} does not refuse ${name} ${version}: ${known}`)
            }
        },
      ),
      // A server that boots after the store went back, and revokes.
      { numRuns: 40, examples: [[[{ all: 0 }, { all: 0 }, { goBack: 2 }, { boot: 2 }, { all: 2 }]]] },
    ),
  )
})

t.test('a long whole comes in pages, and what moves while it is made is not missed', async (t) => {
  const store = new Store()
  for (let n = 0; n < 12_001; n += 1)
    store.rows.push({ kind: 'session', subject: `s-${n}`, minVersion: null, seq: n + 1, expiresAt: NOW + 1000 })
  store.seq = 12_001
  store.revoke('account', 1)
  const node = new Node(store)
  const follower = new ModelFollower()
  const answer = node.ask(follower)
  store.revoke('account', 1)
  node.read()
  t.equal(node.changes.take(), false, 'who follows goes on from the cursor')
  await answer
  t.equal(follower.entries.size, 12_002)
  t.equal(follower.entries.get('account:account-1'), 2)
  await node.ask(follower)
  t.equal(sorted(follower.entries), sorted(node.entries))
  const { whole } = await node.changes.answer('0')
  t.equal(whole?.pages.length, 3)
  store.goBack(1)
  node.read()
  t.equal(node.changes.take(), true, 'everybody needs a whole')
})
