import assert from 'node:assert/strict'
import fc from 'fast-check'
import { GRACE, HOME, LATER, type OneSession, SKEW } from './one-session.ts'

// An honest owner, whose device loses answers, gets them late and in any order, and changes its network.

interface InFlight {
  readonly token: string
  readonly since: number
}

/** What the owner's device knows. */
export interface Owner {
  /** The one place where all tabs keep the refresh token: a cookie, a Keychain. */
  kept: string
  readonly inFlight: InFlight[]
  /** When each token was shown first. */
  readonly shownAt: Map<string, number>
  ip: string
  /** Changes of the network since the last rotation that nobody repeated from another one. */
  moves: number
  lastRotation: { readonly at: number; readonly moves: number }
  /** Puts the row back as a standby has it. */
  goBack: (() => Promise<void>) | undefined
}

export const newOwner = (kept: string): Owner => ({
  kept,
  inFlight: [],
  shownAt: new Map(),
  ip: HOME.ip,
  moves: 0,
  lastRotation: { at: 0, moves: 0 },
  goBack: undefined,
})

type Fate = 'answered' | 'lost' | 'late'
type Command = fc.AsyncCommand<Owner, OneSession>

/** So many tabs refresh at once. Each answer comes, comes later, or never. */
class Refreshes implements Command {
  readonly fates: readonly Fate[]
  readonly node: number
  constructor(fates: readonly Fate[], node: number) {
    this.fates = fates
    this.node = node
  }

  check = () => true

  async run(owner: Owner, service: OneSession): Promise<void> {
    const { kept } = owner
    const since = service.elapsed
    const shownAt = owner.shownAt.get(kept) ?? since
    // Who asks again after the grace has given up on the answers before, and does it from one place: two servers whose
    // clocks differ may not agree whether the grace is over, and then one kills what the other gives.
    const asksAgain = since - shownAt > GRACE
    if (asksAgain) owner.inFlight.length = 0
    const fates = asksAgain && service.hasClocks ? this.fates.slice(0, 1) : this.fates
    if (!owner.shownAt.has(kept)) rotates(owner, since)
    else if (asksAgain) owner.lastRotation = { at: since, moves: owner.moves }
    owner.shownAt.set(kept, shownAt)
    const place = { ...HOME, ip: owner.ip }
    const answers = await Promise.all(fates.map((_, n) => service.show(kept, place, (this.node + n) % 2)))
    answers.forEach((answer, n) => {
      if ('status' in answer) assert.equal(answer.status, 429, 'an honest owner is never refused')
      else if (fates[n] === 'answered') owner.kept = answer.token
      else if (fates[n] === 'late') owner.inFlight.push({ token: answer.token, since })
    })
  }

  toString = () => `refresh(${this.fates}) from node ${this.node}`
}

function rotates(owner: Owner, at: number): void {
  const { lastRotation: last, moves } = owner
  if (moves === last.moves && at - last.at >= LATER) owner.moves = 0
  owner.lastRotation = { at, moves: owner.moves }
}

/** The answer that was sent as the nth last arrives, after those that were sent later. */
class Arrives implements Command {
  readonly nth: number
  constructor(nth: number) {
    this.nth = nth
  }

  check = ({ inFlight }: Readonly<Owner>) => inFlight.length > 0

  async run(owner: Owner): Promise<void> {
    const [arrived] = owner.inFlight.splice(this.nth % owner.inFlight.length, 1)
    if (arrived !== undefined) owner.kept = arrived.token
  }

  toString = () => `answer ${this.nth} arrives`
}

/** Of two who take turns, a phone differs in that it does not change its network at every rotation. */
class Moves implements Command {
  readonly ip: string
  constructor(ip: string) {
    this.ip = ip
  }

  check = ({ moves }: Readonly<Owner>) => moves < 3

  async run(owner: Owner): Promise<void> {
    owner.ip = this.ip
    owner.moves += 1
  }

  toString = () => `moves to ${this.ip}`
}

class Passes implements Command {
  readonly seconds: number
  constructor(seconds: number) {
    this.seconds = seconds
  }

  check = () => true

  async run(owner: Owner, service: OneSession): Promise<void> {
    service.pass(this.seconds)
    const arriving = owner.inFlight.filter(({ since }) => service.elapsed - since <= GRACE)
    owner.inFlight.splice(0, Number.POSITIVE_INFINITY, ...arriving)
  }

  toString = () => `${this.seconds} s pass`
}

class ClockChanges implements Command {
  readonly node: number
  readonly seconds: number
  constructor(node: number, seconds: number) {
    this.node = node
    this.seconds = seconds
  }

  check = () => true

  async run(_owner: Owner, service: OneSession): Promise<void> {
    if (this.seconds > SKEW) service.setBack(this.seconds)
    else service.drift(this.node, this.seconds)
  }

  toString = () => `clock of node ${this.node} changes by ${this.seconds} s`
}

/** The standby gets no more of what the primary does. */
class StandbyFallsBehind implements Command {
  check = () => true

  async run(owner: Owner, service: OneSession): Promise<void> {
    owner.goBack = await service.remember()
  }

  toString = () => 'the standby falls behind'
}

class FailsOver implements Command {
  check = ({ goBack }: Readonly<Owner>) => goBack !== undefined

  run = (owner: Owner) => owner.goBack?.() ?? Promise.resolve()

  toString = () => 'failover'
}

const fate = fc.constantFrom<Fate>('answered', 'answered', 'lost', 'late')
const node = fc.nat(1)
const one = fc.tuple(fate, node).map(([fate, node]) => new Refreshes([fate], node))
const several = fc
  .tuple(fc.array(fate, { minLength: 2, maxLength: 8 }), node)
  .map(([fates, node]) => new Refreshes(fates, node))
const arrives = fc.nat(7).map((nth) => new Arrives(nth))

const moves = fc.constantFrom('192.0.2.1', '198.51.100.7', '2001:db8::1').map((ip) => new Moves(ip))

const history = (...more: fc.Arbitrary<Command>[]): fc.Arbitrary<Iterable<Command>> =>
  fc.commands(
    [
      one,
      one,
      several,
      arrives,
      arrives,
      ...more,
      fc.integer({ min: 0, max: GRACE }).map((seconds) => new Passes(seconds)),
      fc.constantFrom(GRACE + 1, LATER, 600, 86_400).map((seconds) => new Passes(seconds)),
      fc
        .tuple(node, fc.constantFrom(-SKEW, -1, 0, 1, SKEW, 3600))
        .map(([node, seconds]) => new ClockChanges(node, seconds)),
    ],
    { maxCommands: 40, size: 'max' },
  )

/** What happens to an honest owner who changes networks. */
export const onTheMove = history(moves)
/** What happens to an honest owner whose server loses its last transactions again and again. */
export const throughFailovers = history(moves, fc.constant(new StandbyFallsBehind()), fc.constant(new FailsOver()))
