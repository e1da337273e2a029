import { glob, readFile } from 'node:fs/promises'
import t from 'tap'
import { FeedCopy } from '../../src/verifier/feed/feed-copy.ts'
import { FeedRefused } from '../../src/verifier/feed/feed-refused.ts'
import { type Held, NOTHING } from '../../src/verifier/feed/feed-rules.ts'
import { FollowedSet, type PlainSet } from '../../src/verifier/feed/followed-set.ts'
import { readLines } from '../../src/verifier/feed/read-lines.ts'
import { signedDocuments } from '../../src/verifier/feed/signed-documents.ts'
import { readJwks } from '../../src/verifier/keys/jwks-reply.ts'
import { nodePlatform } from '../../src/verifier/platform/node-platform.ts'

// The vectors are for followers in any language; this is ours.

interface State {
  readonly history: string
  readonly seq: number
  readonly iat: number
  readonly exp: number
  readonly cursor: string | null
  readonly left: readonly string[]
  readonly revoked: PlainSet
  readonly kept: PlainSet
  readonly keys: readonly string[]
}

interface Vector {
  readonly name: string
  readonly why: string
  readonly issuer: string
  readonly skew: number
  readonly now: number
  readonly jwks: object
  readonly before: State | null
  readonly answer: string
  readonly outcome: 'applied' | 'ignored' | 'gap' | 'refused'
  readonly reason?: string
  readonly after: State | null
}

const BOUNDS = { line: 1e6, all: 1e7 }

/** @returns what became of the answer, and the state after it */
async function followed({ issuer, skew, now, jwks, before, answer }: Vector) {
  const pems = await readJwks(JSON.stringify(jwks), nodePlatform.readKey)
  const withdrawn = new Set(before?.keys)
  const copy = copyOf(before, skew)
  const documents = signedDocuments({
    issuer,
    skew,
    now: () => now,
    keys: {
      verificationPem: (kid) => (withdrawn.has(kid) ? undefined : pems.get(kid)),
      seek: async () => undefined,
    },
    verifySignature: nodePlatform.createSignature(),
    maxFeedLength: 1e7,
    maxLineLength: BOUNDS.line,
  })
  const outcome = await outcomeOf(copy, documents, answer, { now, skew, withdrawn })
  for (const _slice of copy.tidy(now)) {
  }
  return { ...outcome, after: stateOf(copy, [...withdrawn].sort()) }
}

async function outcomeOf(
  copy: FeedCopy,
  documents: ReturnType<typeof signedDocuments>,
  text: string,
  { now, skew, withdrawn }: { now: number; skew: number; withdrawn: Set<string> },
): Promise<Pick<Vector, 'outcome' | 'reason'>> {
  const answer = copy.answer()
  let isApplied = false
  try {
    for await (const line of readLines(chunks(text), BOUNDS)) {
      const document = await documents.changes(line)
      for (const kid of document.keys ?? []) withdrawn.add(kid)
      const outcome = answer.take(document, now)
      if (outcome === 'gap') return { outcome }
      isApplied ||= outcome === 'applied'
    }
    answer.end(now, skew)
    return { outcome: isApplied ? 'applied' : 'ignored' }
  } catch (error) {
    if (!(error instanceof FeedRefused)) throw error
    return { outcome: 'refused', reason: error.why }
  }
}

/** In pieces of a size that fits to nothing. */
async function* chunks(text: string): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let i = 0; i < bytes.length; i += 97) yield bytes.subarray(i, i + 97)
}

function copyOf(state: State | null, skew: number): FeedCopy {
  if (state === null) return new FeedCopy(skew)
  const { history, seq, iat, exp, cursor, left, revoked, kept } = state
  const held: Held = { history, seq, iat, exp, left, cursor: cursor ?? undefined }
  return new FeedCopy(skew, held, FollowedSet.of(revoked), [FollowedSet.of(kept)])
}

function stateOf(copy: FeedCopy, keys: string[]): State | null {
  const { held, sets } = copy
  if (held.history === undefined) {
    t.same(held, NOTHING)
    return null
  }
  const { history, seq, iat, exp, cursor = null, left } = held
  const kept = sets.kept[0] ?? new FollowedSet()
  return { history, seq, iat, exp, cursor, left, revoked: sets.current.plain(), kept: kept.plain(), keys }
}

/** With the keys in one order, and without what `undefined` leaves out. */
const plain = (state: State | null) => state && { ...state, keys: [...state.keys].sort() }

const vectors: Vector[] = []
for await (const path of glob('src/revocations/vectors/*.json'))
  vectors.push(...JSON.parse(await readFile(path, 'utf8')))

for (const vector of vectors) {
  t.test(`${vector.name}: ${vector.why}`, async (t) => {
    const { outcome, reason, after } = await followed(vector)
    t.same({ outcome, reason }, { outcome: vector.outcome, reason: vector.reason })
    t.same(after, plain(vector.after))
  })
}

t.test('there are vectors of every outcome and reason, with names of their own, and no secret in them', async (t) => {
  t.ok(vectors.length >= 30)
  t.equal(new Set(vectors.map(({ name }) => name)).size, vectors.length)
  t.same([...new Set(vectors.map(({ outcome }) => outcome))].sort(), ['applied', 'gap', 'ignored', 'refused'])
  const reasons = ['claims', 'cut', 'dates', 'header', 'issuer', 'key', 'page', 'signature', 'stale']
  t.same([...new Set(vectors.flatMap(({ reason }) => reason ?? []))].sort(), reasons)
  const text = JSON.stringify(vectors)
  t.notMatch(text, /PRIVATE|"(?:d|p|q|dp|dq|qi|k)":/)
})
