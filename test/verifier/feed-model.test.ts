import fc from 'fast-check'
import t from 'tap'
import type { ChangesClaims } from '../../src/revocations/changes-format.ts'
import { FeedCopy } from '../../src/verifier/feed/feed-copy.ts'
import { FeedRefused } from '../../src/verifier/feed/feed-refused.ts'
import { type Choose, ModelIssuer, type Revoked } from './model-issuer.ts'

const STEPS = ['revoke', 'look', 'poll', 'deliver', 'lose', 'pass', 'tidy', 'go back'] as const
/** More of what keeps things moving. */
const WEIGHTS = { revoke: 4, look: 4, poll: 5, deliver: 6, lose: 1, pass: 1, tidy: 1, 'go back': 1 }

const steps = fc.array(
  fc.tuple(
    fc.oneof(...STEPS.map((step) => ({ arbitrary: fc.constant(step), weight: WEIGHTS[step] }))),
    fc.infiniteStream(fc.nat(59)),
  ),
  { minLength: 20, maxLength: 120 },
)

const token = (claims: object) => ({ sub: 'x', sid: 'x', jti: 'x', client_id: 'x', ...claims }) as never

/** Whether a token that this revokes is refused. */
function refuses(copy: FeedCopy, { kind, subject, minVersion }: Revoked): boolean {
  const hit = kind === 'session' ? { sid: subject } : { sub: subject, token_version: (minVersion ?? 1) - 1 }
  const verdict = copy.judge(token(hit))
  if (verdict === 'good') return false
  const refusal = copy.refusalOf(token(hit))
  if ((refusal === 'stale_version') !== (verdict === 'stale')) throw new Error(`${refusal} with the verdict ${verdict}`)
  return true
}

/** What the copy has to refuse now, by what it says it holds. */
function owed(copy: FeedCopy, issuer: ModelIssuer): Revoked[] {
  const { history, seq } = copy.held
  if (history === undefined) return []
  return (issuer.logs[Number(history.slice(1))] ?? []).slice(0, seq).filter(({ until }) => until > issuer.now)
}

/** A follower that gets answers late, cut, in another order, or not at all. */
function play(run: readonly (readonly [(typeof STEPS)[number], Iterable<number>])[]): string | undefined {
  const issuer = new ModelIssuer()
  const copy = new FeedCopy(5)
  const onTheWay: ChangesClaims[][] = []
  const refusedOnce = new Set<Revoked>()
  for (const [step, numbers] of run) {
    const stream = numbers[Symbol.iterator]()
    const choose: Choose = (below) => Number(stream.next().value) % below
    if (step === 'revoke') issuer.revoke(choose)
    else if (step === 'go back') issuer.goBack(choose)
    else if (step === 'look') issuer.look(choose)
    else if (step === 'poll') onTheWay.push(issuer.answer(copy.held.cursor, choose))
    else if (step === 'lose') onTheWay.splice(choose(onTheWay.length + 1), 1)
    else if (step === 'pass') issuer.now += choose(60)
    else if (step === 'tidy') for (const _slice of copy.tidy(issuer.now));
    else deliver(copy, onTheWay.splice(choose(onTheWay.length + 1), 1)[0] ?? [], issuer.now, choose)
    for (const one of owed(copy, issuer)) refusedOnce.add(one)
    for (const one of refusedOnce)
      if (one.until > issuer.now && !refuses(copy, one)) return `${step}: ${JSON.stringify(one)} passes`
    if (copy.judge(token({ sub: 'never', sid: 'never', token_version: 1 })) !== 'good') return 'a good token is refused'
  }
  return undefined
}

/** An answer may lose its end, or one document in between. */
function deliver(copy: FeedCopy, documents: readonly ChangesClaims[], now: number, choose: Choose): void {
  const answer = copy.answer()
  const end = choose(4) === 0 ? choose(documents.length + 1) : documents.length
  const lost = choose(4) === 0 ? choose(documents.length + 1) : -1
  try {
    for (const [i, document] of documents.slice(0, end).entries())
      if (i !== lost && answer.take(document, now) === 'gap') return
  } catch (error) {
    if (!(error instanceof FeedRefused)) throw error
  }
}

t.test(
  'what the issuer revoked is refused as long as a token of it may live, whatever happens on the way',
  async (t) => {
    let rounds = 0
    fc.assert(
      fc.property(steps, (run) => {
        rounds += 1
        const fault = play(run)
        if (fault !== undefined) throw new Error(fault)
      }),
      { numRuns: 1000 },
    )
    t.equal(rounds, 1000)
  },
)

t.test('when nothing more happens, two polls bring a follower to what its node knows', async () => {
  fc.assert(
    fc.property(steps, fc.infiniteStream(fc.nat(59)), (run, numbers) => {
      const issuer = new ModelIssuer()
      const copy = new FeedCopy(5)
      const stream = numbers[Symbol.iterator]()
      const choose: Choose = (below) => Number(stream.next().value) % below
      for (const [step] of run) {
        if (step === 'revoke') issuer.revoke(choose)
        if (step === 'look') issuer.look(choose)
        if (step === 'go back') issuer.goBack(choose)
        if (step === 'poll') deliver(copy, issuer.answer(copy.held.cursor, choose), issuer.now, choose)
      }
      for (const node of [0, 1]) issuer.look(() => node)
      for (let polls = 0; polls < 2; polls += 1)
        deliver(
          copy,
          issuer.answer(copy.held.cursor, (below) => Math.max(0, below - 1)),
          issuer.now,
          () => 1,
        )
      const { history, seq } = copy.held
      if (history !== `h${issuer.logs.length - 1}` || seq !== issuer.logs.at(-1)?.length)
        throw new Error(`${history} ${seq} of ${issuer.logs.length - 1} ${issuer.logs.at(-1)?.length}`)
    }),
    { numRuns: 1000 },
  )
})
