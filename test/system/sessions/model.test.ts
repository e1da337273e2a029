import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import type { Database } from '../../../src/db/database.ts'
import { migrate } from '../../../src/db/migrate.ts'
import { ENGINES, openNode } from '../../support/engines.ts'
import {
  apply,
  expected,
  isLive,
  LIMITS,
  type Model,
  type ModelSession,
  makeRoom,
  type Outcome,
} from './session-model.ts'
import { Sut } from './session-sut.ts'

// Whatever a client does in whatever order, sessions do as the model says.

type Command = fc.AsyncCommand<Model, Sut>

const seen: Record<Outcome, number> = { rotated: 0, repeated: 0, retried: 0, ahead: 0, reused: 0, refused: 0 }

/** A command on one of the last sessions, ended and expired ones too. It takes a second. */
abstract class OnSession implements Command {
  readonly nth: number
  constructor(nth: number) {
    this.nth = nth
  }

  check = () => true

  async run(model: Model, sut: Sut): Promise<void> {
    tick(model, sut, 1)
    await this.act(model, sut, model.sessions.at(-1 - (this.nth % model.sessions.length)) as ModelSession)
    await holdsTo(model, sut)
  }

  abstract act(model: Model, sut: Sut, session: ModelSession): Promise<void>
}

class Login implements Command {
  check = () => true

  async run(model: Model, sut: Sut): Promise<void> {
    tick(model, sut, 1)
    makeRoom(model)
    model.sessions.push(await this.opened(model, sut))
    await holdsTo(model, sut)
  }

  async opened({ now }: Model, sut: Sut): Promise<ModelSession> {
    const { id, token } = await sut.login()
    return { id, createdAt: now, lastUsedAt: now, tokens: [token], exchanges: [], ended: false }
  }

  toString = () => 'login'
}

/**
 * Presents a refresh token several times. It is `behind` steps older than the current one; -1 is a newer one, as if
 * the row had gone back.
 */
class Present extends OnSession {
  readonly behind: number
  readonly times: number
  constructor(nth: number, behind: number, times: number) {
    super(nth)
    this.behind = behind
    this.times = times
  }

  async act({ now }: Model, sut: Sut, session: ModelSession): Promise<void> {
    const counter = session.tokens.length - 1 - this.behind
    if (counter < 0) return
    const token = session.tokens[counter] ?? sut.tokenOf(session.id, counter)
    for (let n = 0; n < this.times; n += 1) {
      const { outcome, next } = await sut.refresh(token)
      assert.equal(outcome, expected(session, counter, now))
      if (outcome === 'repeated') assert.equal(next, session.tokens.at(-1))
      if (['rotated', 'retried', 'ahead'].includes(outcome))
        assert.ok(!session.tokens.includes(next as string), 'a token is never given twice')
      apply(session, outcome, { counter, token: next, now })
      seen[outcome] += 1
    }
  }

  override toString = () => `present session ${this.nth}, ${this.behind} behind, ${this.times} times`
}

class Forge extends OnSession {
  readonly at: number
  constructor(nth: number, at: number) {
    super(nth)
    this.at = at
  }

  async act(_model: Model, sut: Sut, { tokens }: ModelSession): Promise<void> {
    const token = tokens.at(-1) as string
    const forged = token.slice(0, this.at) + (token[this.at] === 'A' ? 'B' : 'A') + token.slice(this.at + 1)
    assert.equal((await sut.refresh(forged)).outcome, 'refused')
  }

  override toString = () => `forge session ${this.nth} at ${this.at}`
}

class LogOut extends OnSession {
  readonly scope: 'session' | 'others' | 'all'
  constructor(nth: number, scope: 'session' | 'others' | 'all') {
    super(nth)
    this.scope = scope
  }

  async act({ sessions, now }: Model, sut: Sut, caller: ModelSession): Promise<void> {
    if (!isLive(caller, now)) return // its access token is refused, or nobody has one any more
    await sut.logOut(caller.id, this.scope)
    for (const session of sessions) {
      const own = session === caller
      if (this.scope === 'all' || own === (this.scope === 'session')) session.ended = true
    }
  }

  override toString = () => `log out ${this.scope} from session ${this.nth}`
}

class EndEverybody implements Command {
  check = () => true

  async run(model: Model, sut: Sut): Promise<void> {
    await sut.endEverybody() // in the second of the command before
    for (const session of model.sessions) session.ended = true
    await holdsTo(model, sut)
    model.sessions.push(await new Login().opened(model, sut)) // and the next one
    await holdsTo(model, sut)
  }

  toString = () => 'everybody out'
}

class Pass implements Command {
  readonly seconds: number
  constructor(seconds: number) {
    this.seconds = seconds
  }

  check = () => true

  async run(model: Model, sut: Sut): Promise<void> {
    tick(model, sut, this.seconds)
    await holdsTo(model, sut)
  }

  toString = () => `pass ${this.seconds} s`
}

class ChangeKey implements Command {
  check = () => true

  async run(model: Model, sut: Sut): Promise<void> {
    sut.keys.push({ id: randomBytes(8).toString('base64url'), signFrom: model.now + 20, secret: randomBytes(32) })
  }

  toString = () => 'change the key'
}

function tick(model: Model, sut: Sut, seconds: number): void {
  model.now += seconds
  sut.now = model.now
}

/** What can be seen of the sessions is what the model says. */
async function holdsTo({ sessions, now }: Model, sut: Sut): Promise<void> {
  const live = sessions.filter((session) => isLive(session, now)).map(({ id }) => id)
  assert.deepEqual((await sut.list()).sort(), live.sort())
  for (const { id, ended } of sessions) assert.equal(sut.isRevoked(id), ended)
}

const nth = fc.nat(3)
const present = (behind: number, times: fc.Arbitrary<number>) =>
  fc.tuple(nth, times).map(([nth, times]) => new Present(nth, behind, times))
const once = fc.constant(1)
const presented = [
  present(0, once),
  present(0, fc.integer({ min: 1, max: 3 })),
  present(1, once),
  present(1, fc.integer({ min: 1, max: 12 })),
  present(2, once),
  present(3, once),
  present(-1, once),
]
const otherwise = [
  fc.constant(new Login()),
  fc.tuple(nth, fc.nat(83)).map(([nth, at]) => new Forge(nth, at)),
  fc.tuple(nth, fc.constantFrom('session', 'others', 'all')).map(([nth, scope]) => new LogOut(nth, scope)),
  fc.integer({ min: 1, max: LIMITS.grace }).map((seconds) => new Pass(seconds)),
  fc
    .constantFrom(LIMITS.grace - 1, LIMITS.grace, LIMITS.retry - 1, LIMITS.retry, 240, LIMITS.idleTtl - 1)
    .map((seconds) => new Pass(seconds)),
  fc.constant(new ChangeKey()),
  fc.constant(new EndEverybody()),
]
// A command that is listed twice is drawn twice as often.
const commands = fc.commands([...presented, ...presented, ...presented, ...otherwise, fc.constant(new Login())], {
  maxCommands: 40,
  size: 'max',
})

async function property(database: Database, numRuns: number): Promise<void> {
  const setup = async () => {
    const model: Model = { now: 1_800_000_000, sessions: [] }
    const real = await Sut.create(database, model.now)
    await new Login().run(model, real)
    return { model, real }
  }
  await fc.assert(
    fc.asyncProperty(commands, (commands) => fc.asyncModelRun(setup, commands)),
    { numRuns },
  )
}

for (const engine of ENGINES) {
  t.test(
    `${engine.name}: any logins, refreshes, forgeries, logouts, ends for everybody and steps of the clock do as the model`,
    async (t) => {
      const database = await openNode(t, await engine.url(t))
      await migrate(database, () => 1)
      for (const outcome of Object.keys(seen)) seen[outcome as Outcome] = 0
      const isSqlite = database.engine === 'sqlite'
      await property(database, isSqlite ? 100 : 25)
      // That every outcome occurs is a claim about the histories, and 25 are too few to be sure of it.
      for (const [outcome, count] of Object.entries(seen)) t.ok(count > 0 || !isSqlite, `${outcome}: ${count} times`)
    },
  )
}
