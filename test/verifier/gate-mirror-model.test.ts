import fc from 'fast-check'
import t from 'tap'
import type { ChangesClaims } from '../../src/revocations/changes-format.ts'
import { FeedCopy } from '../../src/verifier/feed/feed-copy.ts'
import { FeedRefused } from '../../src/verifier/feed/feed-refused.ts'
import { type MirroredChanges, MirrorFeed } from '../../src/verifier/gate/mirror-feed.ts'
import { type Choose, ModelIssuer, type Revoked } from './model-issuer.ts'

const STEPS = ['revoke', 'revoke', 'look', 'mirror', 'mirror', 'follow', 'follow', 'pass', 'go back', 'anew'] as const
const steps = fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.infiniteStream(fc.nat(59))), {
  minLength: 20,
  maxLength: 120,
})
const NOBODY = { aborted: false, addEventListener: () => undefined, removeEventListener: () => undefined }

const linesOf = (changes: MirroredChanges | undefined) => changes?.body.toString().split('\n').slice(0, -1)

function refuses(copy: FeedCopy, { kind, subject, minVersion }: Revoked) {
  const hit = kind === 'session' ? { sid: subject } : { sub: subject, token_version: (minVersion ?? 1) - 1 }
  return copy.judge({ sub: 'x', sid: 'x', jti: 'x', client_id: 'x', ...hit } as never) !== 'good'
}

/** @returns whether all of it was taken, without a gap */
function deliver(copy: FeedCopy, documents: readonly ChangesClaims[], now: number, mirror?: MirrorFeed): boolean {
  const answer = copy.answer()
  try {
    for (const document of documents) {
      const before = copy.historyChanges
      const outcome = answer.take(document, now)
      mirror?.took(JSON.stringify(document), document, outcome, copy.historyChanges !== before, now)
      if (outcome === 'gap') return false
    }
    answer.end(now, Number.POSITIVE_INFINITY)
    return true
  } catch (error) {
    if (!(error instanceof FeedRefused)) throw error
    return false
  }
}

/** An issuer that may go back, a mirror of it, and followers that ask now and then. */
class World {
  readonly issuer = new ModelIssuer()
  readonly own = new FeedCopy(5)
  readonly mirror = new MirrorFeed(() => this.issuer.now)
  readonly followers = Array.from({ length: 3 }, () => new FeedCopy(5))
  /** Answers of the mirror that were compared, and those without a whole. */
  readonly counts = { answers: 0, onlyChanges: 0 }

  async step(step: (typeof STEPS)[number], choose: Choose): Promise<void> {
    const { issuer, own, mirror } = this
    if (step === 'revoke') issuer.revoke(choose)
    else if (step === 'go back') issuer.goBack(choose)
    else if (step === 'look') issuer.look(choose)
    else if (step === 'pass') issuer.now += choose(60)
    else if (step === 'anew') own.startAnew()
    else if (step === 'mirror') {
      const documents = issuer.answer(own.held.cursor, choose)
      const isCut = choose(4) === 0
      const came = isCut ? documents.slice(0, choose(documents.length + 1)) : documents
      if (!deliver(own, came, issuer.now, mirror)) own.startAnew()
    } else await this.follow(this.followers[choose(3)] as FeedCopy)
  }

  async follow(follower: FeedCopy): Promise<void> {
    const { issuer, own } = this
    const changes = await this.mirror.changes(follower.held.cursor ?? '0', 0, NOBODY, 'x')
    if (changes === undefined) {
      if (own.held.history !== undefined) throw new Error('the mirror has a copy and serves nothing')
      return
    }
    const documents = linesOf(changes)?.map((line) => JSON.parse(line) as ChangesClaims) ?? []
    if (!deliver(follower, documents, issuer.now)) throw new Error('the answer of the mirror leads nowhere')
    this.counts.answers += 1
    if (documents[0]?.page === undefined) this.counts.onlyChanges += 1
    const { history, seq } = own.held
    // A mirror that came back to a history may have less of it than a follower that never left.
    if (follower.held.history !== history || follower.held.seq < seq || follower.held.cursor === undefined)
      throw new Error(`${JSON.stringify(follower.held)} and not ${JSON.stringify(own.held)}`)
    const held = (issuer.logs[Number(history?.slice(1))] ?? []).slice(0, seq)
    for (const one of held)
      if (one.until > issuer.now && !refuses(follower, one)) throw new Error(`${JSON.stringify(one)} passes`)
  }
}

t.test('whoever follows the mirror holds what the mirror holds, whatever became of the issuer', async (t) => {
  const counts = { answers: 0, onlyChanges: 0 }
  await fc.assert(
    fc.asyncProperty(steps, async (run) => {
      const world = new World()
      for (const [step, numbers] of run) {
        const stream = numbers[Symbol.iterator]()
        await world.step(step, (below) => Number(stream.next().value) % below)
      }
      for (const follower of world.followers) await world.follow(follower)
      counts.answers += world.counts.answers
      counts.onlyChanges += world.counts.onlyChanges
    }),
    { numRuns: 1000 },
  )
  t.ok(counts.answers > 5000, `${counts.answers} answers`)
  t.ok(counts.onlyChanges > counts.answers / 10, `${counts.onlyChanges} of them without a whole`)
})

t.test('a feed that is too long to be kept is asked for again, once a minute', async (t) => {
  const keys = { verificationPem: () => 'a key' }
  const mirror = new MirrorFeed(() => 1000, 10, 500)
  const copy = new FeedCopy(5)
  const whole = (seq: number, ids: number): ChangesClaims => ({
    ...{ iss: 'model', history: 'h0', after: 0, seq, iat: 990, exp: 1050, cursor: `h0.${seq}` },
    ...{ page: 1, pages: 1, whole: `w${seq}`, sessions: Array.from({ length: ids }, (_, i) => `session-${i}`) },
  })
  const asked = async () => linesOf(await mirror.changes('0', 0, NOBODY, 'x'))
  deliver(copy, [whole(1, 100)], 1000, mirror)
  t.equal(await asked(), undefined)
  t.same(
    [1000, 1059, 1060].map((now) => mirror.isOutgrown(now, keys)),
    [true, false, true],
  )
  deliver(copy, [whole(2, 1)], 1060, mirror)
  t.same(await asked(), [JSON.stringify(whole(2, 1))])
  t.equal(mirror.isOutgrown(1061, keys), false)
})

t.test('after a new whole who is up to date waits on, and who may lack a key of it does not', async (t) => {
  const document = (more: Partial<ChangesClaims>): ChangesClaims => ({
    ...{ iss: 'model', history: 'h0', after: 0, seq: 4, iat: 990, exp: 1050, cursor: 'h0.4', ...more },
  })
  const whole = (name: string, more: Partial<ChangesClaims> = {}) =>
    document({ page: 1, pages: 1, whole: name, cursor: `h0.4.${name}`, ...more })
  const renewal = document({ after: 4, cursor: 'h0.4.r' })
  const rows: [what: string, second: ChangesClaims, lines: ChangesClaims[]][] = [
    ['the same', whole('w2'), [renewal]],
    ['another key', whole('w2', { keys: ['k'] }), [whole('w2', { keys: ['k'] })]],
    ['a later number', whole('w2', { seq: 5 }), [whole('w2', { seq: 5 })]],
    ['another history', whole('w2', { history: 'h1' }), [whole('w2', { history: 'h1' })]],
  ]
  for (const [what, second, lines] of rows) {
    const mirror = new MirrorFeed(() => 1000)
    const copy = new FeedCopy(5)
    for (const answer of [[whole('w1')], [renewal], [second]]) deliver(copy, answer, 1000, mirror)
    const changes = await mirror.changes('h0.4.r', 0, NOBODY, 'x')
    t.same(
      linesOf(changes),
      lines.map((line) => JSON.stringify(line)),
      what,
    )
  }
})

t.test('an issuer that has lost its change stream leaves nothing to serve', async (t) => {
  const mirror = new MirrorFeed(() => 1000)
  const copy = new FeedCopy(5)
  const document = { iss: 'model', history: 'h0', after: 0, seq: 1, iat: 990, exp: 1050, cursor: 'h0.1' }
  deliver(copy, [{ ...document, page: 1, pages: 1, whole: 'w' }], 1000, mirror)
  mirror.tookFeed('a whole feed', false, 1000)
  for (const cursor of ['0', 'h0.1']) t.equal(await mirror.changes(cursor, 0, NOBODY, 'x'), undefined)
})
