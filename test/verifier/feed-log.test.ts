import fc from 'fast-check'
import t from 'tap'
import type { ChangesClaims } from '../../src/revocations/changes-format.ts'
import { FeedCopy } from '../../src/verifier/feed/feed-copy.ts'
import { FeedRefused } from '../../src/verifier/feed/feed-refused.ts'
import { judgeChange } from '../../src/verifier/feed/feed-rules.ts'
import { FeedLog, type LoggedPart } from '../../src/verifier/store/feed-log.ts'
import { type Choose, ModelIssuer, type Revoked } from './model-issuer.ts'

const STEPS = ['revoke', 'revoke', 'look', 'look', 'poll', 'poll', 'poll', 'pass', 'tidy', 'go back'] as const
const steps = fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.infiniteStream(fc.nat(59))), {
  minLength: 20,
  maxLength: 120,
})
const token = (claims: object) => ({ sub: 'x', sid: 'x', jti: 'x', client_id: 'x', ...claims }) as never

function refuses(copy: FeedCopy, { kind, subject, minVersion }: Pick<Revoked, 'kind' | 'subject' | 'minVersion'>) {
  const hit = kind === 'session' ? { sid: subject } : { sub: subject, token_version: (minVersion ?? 1) - 1 }
  return copy.judge(token(hit)) !== 'good'
}

/** What the copy has to refuse now, by what it says it holds. */
function owed({ held: { history, seq } }: FeedCopy, issuer: ModelIssuer): Revoked[] {
  return history === undefined ? [] : (issuer.logs[Number(history.slice(1))] ?? []).slice(0, seq)
}

/** Takes the documents of one answer, which may be cut, into the copy and the log. */
function deliver(copy: FeedCopy, log: FeedLog, documents: readonly ChangesClaims[], now: number): void {
  const answer = copy.answer()
  try {
    for (const document of documents) {
      const before = copy.historyChanges
      const outcome = answer.take(document, now)
      log.took(JSON.stringify(document), document, outcome, copy.historyChanges !== before, now)
      if (outcome === 'gap') return
    }
  } catch (error) {
    if (!(error instanceof FeedRefused)) throw error
  }
}

function replay(parts: readonly LoggedPart[], now: number): FeedCopy {
  const copy = new FeedCopy(5)
  for (const { lines } of parts) {
    const answer = copy.answer()
    for (const line of lines) {
      const document = JSON.parse(line) as ChangesClaims
      if (document.page === undefined && judgeChange(copy.held, document) === 'gap') break
      answer.take(document, now)
    }
  }
  return copy
}

/** Every subject of the model with every version that a token of it may have. */
const SUBJECTS = (versions: number) =>
  Array.from({ length: 6 }, (_, i) => `${i}`).flatMap((subject) => [
    { kind: 'session' as const, subject, minVersion: null },
    ...Array.from({ length: versions }, (_, i) => ({ kind: 'account' as const, subject, minVersion: i + 1 })),
  ])

t.test('a copy that is made again from its log refuses what it refused, and nothing else', async (t) => {
  let compared = 0
  fc.assert(
    fc.property(steps, (run) => {
      const issuer = new ModelIssuer()
      const copy = new FeedCopy(5)
      const log = new FeedLog(1e6)
      let revoked = 0
      const owedOnce = new Set<Revoked>()
      for (const [step, numbers] of run) {
        const stream = numbers[Symbol.iterator]()
        const choose: Choose = (below) => Number(stream.next().value) % below
        if (step === 'revoke') {
          revoked += 1
          issuer.revoke(choose)
        } else if (step === 'go back') issuer.goBack(choose)
        else if (step === 'look') issuer.look(choose)
        else if (step === 'pass') issuer.now += choose(60)
        else if (step === 'tidy') for (const _slice of copy.tidy(issuer.now));
        else {
          const documents = issuer.answer(copy.held.cursor, choose)
          deliver(copy, log, choose(4) === 0 ? documents.slice(0, choose(documents.length + 1)) : documents, issuer.now)
          for (const one of owed(copy, issuer)) owedOnce.add(one)
        }
      }
      const parts = log.parts(issuer.now)
      if (copy.held.history === undefined) return
      const again = replay(parts ?? [], issuer.now)
      for (const one of [copy, again]) for (const _slice of one.tidy(issuer.now));
      compared += 1
      for (const one of owedOnce)
        if (one.until > issuer.now && !refuses(again, one)) throw new Error(`${JSON.stringify(one)} passes`)
      for (const one of SUBJECTS(revoked + 2))
        if (refuses(again, one) && !refuses(copy, one)) throw new Error(`${JSON.stringify(one)} is refused`)
      if (again.held.history !== copy.held.history || again.held.seq < copy.held.seq) throw new Error('it is older')
      if (again.held.exp !== copy.held.exp) throw new Error(`${again.held.exp} instead of ${copy.held.exp}`)
    }),
    { numRuns: 1000 },
  )
  t.ok(compared > 500, `${compared} copies were compared`)
})

const page = (page: number, pages: number, whole: string, seq: number): ChangesClaims => ({
  ...{ iss: 'model', history: 'h0', after: 0, seq, iat: 1, exp: 61, cursor: `h0.${seq}`, page, pages, whole },
})
const texts = (log: FeedLog) => log.parts(1)?.map(({ lines }) => lines.map((line) => JSON.parse(line)))

t.test('pages of two answers that come at the same time are kept apart', async (t) => {
  const rows: [what: string, order: readonly [answer: 'a' | 'b', page: number][], first: string, second: string][] = [
    ['two wholes', [...'ababab'].map((one, i) => [one as 'a', Math.floor(i / 2) + 1]), 'w1', 'w2'],
    ['one whole', [...'ababab'].map((one, i) => [one as 'a', Math.floor(i / 2) + 1]), 'w1', 'w1'],
    [
      'one begins late',
      [
        ['a', 1],
        ['a', 2],
        ['b', 1],
        ['a', 3],
        ['b', 2],
        ['b', 3],
      ],
      'w1',
      'w1',
    ],
  ]
  for (const [what, order, first, second] of rows) {
    const copy = new FeedCopy(5)
    const log = new FeedLog(1e6)
    const answers = { a: copy.answer(), b: copy.answer() }
    for (const [answer, number] of order) {
      const document = page(number, 3, answer === 'a' ? first : second, 7)
      log.took(JSON.stringify(document), document, answers[answer].take(document, 1), false, 1)
    }
    t.same(texts(log), [[1, 2, 3].map((number) => page(number, 3, second, 7))], what)
  }
})

t.test('a whole whose pages were not all noted is not built upon', async (t) => {
  const log = new FeedLog(1e6)
  for (const [document, outcome] of [
    [page(1, 1, 'w1', 7), 'applied'],
    [page(2, 2, 'w2', 8), 'applied'],
  ] as const)
    log.took(JSON.stringify(document), document, outcome, false, 1)
  t.equal(texts(log), undefined)
})
