import fc from 'fast-check'
import t from 'tap'
import type { AccessTokenClaims } from '../../src/tokens/claims.ts'
import { NOW, token, type Why, watching } from './watching.ts'

// A naive model beside the real thing: it asks every token anew whenever something happened.

const ACTIONS = ['add', 'stop', 'revoke', 'key', 'stale', 'answer', 'set the clock', 'sleep', 'changed'] as const
const REACTIONS = ['nothing', 'throws', 'stops', 'adds', 'revokes'] as const
const ISSUERS = ['knows', 'is away', 'is slow'] as const

type Action = readonly [what: (typeof ACTIONS)[number], a: number, b: number]

const action: fc.Arbitrary<Action> = fc.tuple(
  fc.oneof(
    { arbitrary: fc.constant('add' as const), weight: 8 },
    { arbitrary: fc.constant('stop' as const), weight: 3 },
    { arbitrary: fc.constant('revoke' as const), weight: 3 },
    { arbitrary: fc.constantFrom(...ACTIONS.slice(3)), weight: 4 },
  ),
  fc.nat(59),
  fc.nat(59),
)
/** Actions that happen at once, and the seconds until the next ones: 0 is only long enough for what is due. */
const steps = fc.array(fc.tuple(fc.array(action, { minLength: 1, maxLength: 5 }), fc.constantFrom(0, 0, 1, 2, 7)), {
  minLength: 3,
  maxLength: 25,
  size: 'max',
})

interface ModelOwner {
  readonly claims: AccessTokenClaims
  readonly kid: string
  readonly told: Why[]
  /** What the rules said of its token at any time since it began. */
  readonly seen: Set<Why>
  isStopped: boolean
  stop(): void
}

class Play {
  readonly scene = watching()
  readonly owners: ModelOwner[] = []
  readonly tokens = Array.from({ length: 8 }, (_, i) => token(`t${i}`, NOW + 2 + (i % 5) ** 2))
  readonly issuer: (typeof ISSUERS)[number]
  #answers: (() => void)[] = []
  fault: string | undefined

  constructor(issuer: (typeof ISSUERS)[number]) {
    this.issuer = issuer
    this.scene.issuer.look = async () => {
      if (issuer === 'is slow') await new Promise<void>((resolve) => this.#answers.push(resolve))
      if (issuer === 'is away') throw new Error('away')
      this.scene.feed.isStale = false
      this.scene.keys.add('k1').add('k2')
    }
  }

  get isLooking(): boolean {
    return this.#answers.length > 0
  }

  act([what, a, b]: Action): void {
    const { scene, owners } = this
    if (what === 'add') this.add(a, b)
    if (what === 'stop') this.stop(a)
    if (what === 'revoke') this.revoke(a)
    if (what === 'changed') scene.watch.changed()
    if (what === 'stale') {
      scene.feed.isStale = a % 2 === 0
      if (!scene.feed.isStale) scene.watch.changed() // by a document
    }
    if (what === 'answer') for (const answer of this.#answers.splice(0)) answer()
    if (what === 'set the clock') scene.clock.seconds += a - 30
    if (what === 'sleep') scene.clock.seconds += a
    if (what === 'key') {
      if (a % 3 > 0) scene.keys.delete(`k${a % 3}`)
      else scene.keys.add('k1').add('k2')
      scene.watch.changed()
    }
    for (const owner of owners) this.see(owner)
  }

  see(owner: ModelOwner): Why | undefined {
    const why = this.scene.judge(owner.claims, owner.kid)
    if (why !== undefined) owner.seen.add(why)
    return why
  }

  add(a: number, b: number): void {
    const claims = this.tokens[a % this.tokens.length] as AccessTokenClaims
    const kid = a % 2 === 0 ? 'k1' : 'k2'
    const owner: ModelOwner = { claims, kid, told: [], seen: new Set(), isStopped: false, stop: () => {} }
    let hasReturned = false
    const react = (why: Why) => {
      if (!hasReturned) this.fault ??= 'told before watch has returned'
      if (owner.isStopped) this.fault ??= 'told after it was stopped'
      this.see(owner)
      if (!owner.seen.has(why)) this.fault ??= `told ${why}, which it never was`
      owner.told.push(why)
      this.react(REACTIONS[b % REACTIONS.length] ?? 'nothing', a)
    }
    owner.stop = this.scene.watch.add(claims, kid, react)
    hasReturned = true
    this.owners.push(owner)
    this.see(owner)
  }

  react(how: (typeof REACTIONS)[number], a: number): void {
    if (how === 'stops') this.stop(a)
    if (how === 'adds' && this.owners.length < 100) this.add(a + 1, 0)
    if (how === 'revokes') this.revoke(a + 1)
    for (const owner of this.owners) this.see(owner)
    if (how === 'throws') throw new Error('a socket that is gone')
  }

  stop(a: number): void {
    const owner = this.owners[a % (this.owners.length || 1)]
    owner?.stop()
    if (owner !== undefined) owner.isStopped = true
  }

  revoke(a: number): void {
    this.scene.revoked.add(`t${a % this.tokens.length}`)
    this.scene.watch.changed()
  }

  /** @param seconds since the last action */
  check(seconds: number): string | undefined {
    for (const { claims, kid, told, isStopped } of this.owners) {
      if (told.length > 1) return 'told twice'
      const why = this.scene.judge(claims, kid)
      const isUnsure = why === 'key' || why === 'stale'
      const isDue = seconds > 0 ? !(isUnsure && this.isLooking) : why === 'revoked'
      if (why !== undefined && isDue && !isStopped && told.length === 0) return `${claims.jti} is ${why}: not told`
    }
    const isSomebodyThere = this.owners.some(({ told, isStopped }) => told.length === 0 && !isStopped)
    if (this.scene.timers.isSet !== isSomebodyThere) return 'a timer for nobody, or none for somebody'
    return this.fault
  }
}

t.test('each is told once when the rules say that its token is over, whatever happens in between', async (t) => {
  let told = 0
  await fc.assert(
    fc.asyncProperty(steps, fc.constantFrom(...ISSUERS), async (run, issuer) => {
      const play = new Play(issuer)
      for (const [actions, seconds] of run) {
        for (const one of actions) play.act(one)
        await play.scene.settled()
        await play.scene.pass(seconds)
        const fault = play.check(seconds)
        if (fault !== undefined) throw new Error(fault)
      }
      told += play.owners.filter((owner) => owner.told.length > 0).length
    }),
    { numRuns: 200 },
  )
  t.ok(told > 1000, `${told} were told`)
})
