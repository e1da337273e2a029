import fc from 'fast-check'
import t from 'tap'
import type { Refusal } from '../../src/errors/refusals.ts'
import type { Revocation, RevocationKind } from '../../src/revocations/revocation.ts'
import { RevocationSet } from '../../src/revocations/revocation-set.ts'
import type { AccessTokenClaims } from '../../src/tokens/claims.ts'
import type { Verdict } from '../../src/tokens/verify.ts'
import { good } from '../support/claims.ts'

const EXPIRY = 2000
const token = (change: Partial<AccessTokenClaims> = {}): AccessTokenClaims => ({ ...good, ...change })
const entry = (kind: RevocationKind, subject: string, change: Partial<Revocation> = {}): Revocation => ({
  ...{ kind, subject, minVersion: null, seq: 1, expiresAt: EXPIRY },
  ...change,
})

function setOf(...entries: readonly Revocation[]): RevocationSet {
  const set = new RevocationSet()
  for (const one of entries) set.add(one)
  return set
}

const CASES: [
  what: string,
  entries: Revocation[],
  claims: Partial<AccessTokenClaims>,
  verdict: Verdict,
  refusal?: Refusal,
][] = [
  ['nothing withdrawn', [], { sid: 's' }, 'good'],
  ['its session', [entry('session', 's')], { sid: 's' }, 'revoked', 'revoked_session'],
  ['another session', [entry('session', 's')], { sid: 't' }, 'good'],
  ['a session, and it has none', [entry('session', 'undefined'), entry('session', '')], {}, 'good'],
  ['its id', [entry('token', 'j')], { jti: 'j' }, 'revoked', 'revoked_token'],
  ['another id', [entry('token', 'j')], { jti: 'k' }, 'good'],
  ['its client', [entry('client', 'c')], { client_id: 'c', token_version: 99 }, 'revoked', 'revoked_client'],
  [
    'its version of the client',
    [entry('client', 'c', { minVersion: 3 })],
    { client_id: 'c' },
    'revoked',
    'revoked_client',
  ],
  ['older versions of it', [entry('client', 'c', { minVersion: 3 })], { client_id: 'c', token_version: 3 }, 'good'],
  ['its account', [entry('account', 'a')], { sub: 'a', token_version: 99 }, 'revoked', 'revoked_account'],
  ['its version', [entry('account', 'a', { minVersion: 3 })], { sub: 'a', token_version: 2 }, 'stale', 'stale_version'],
  ['older versions', [entry('account', 'a', { minVersion: 3 })], { sub: 'a', token_version: 3 }, 'good'],
  [
    'all versions before, and it says none',
    [entry('account', 'a', { minVersion: 1 })],
    { sub: 'a' },
    'stale',
    'stale_version',
  ],
  ['another account', [entry('account', 'a')], { sub: 'b' }, 'good'],
  [
    'version and session: no refresh would help',
    [entry('account', 'a', { minVersion: 3 }), entry('session', 's')],
    { sub: 'a', sid: 's', token_version: 2 },
    'revoked',
    'revoked_session',
  ],
]
for (const [what, entries, claims, verdict, refusal] of CASES) {
  t.test(`a token is ${verdict} with this withdrawn: ${what}`, async (t) => {
    const set = setOf(...entries)
    t.equal(set.judge(token(claims)), verdict)
    t.equal(set.refusalOn(token(claims)), refusal)
  })
}

t.test('of several revocations the widest has the word', async (t) => {
  const claims = token({ sid: 's', jti: 'j', client_id: 'c', sub: 'a', token_version: 1 })
  const entries: [Revocation, Refusal][] = [
    [entry('account', 'a', { minVersion: 2 }), 'stale_version'],
    [entry('token', 'j'), 'revoked_token'],
    [entry('session', 's'), 'revoked_session'],
    [entry('client', 'c', { minVersion: 2 }), 'revoked_client'],
    [entry('account', 'a'), 'revoked_account'],
  ]
  const set = new RevocationSet()
  for (const [one, refusal] of entries) {
    set.add(one)
    t.equal(set.refusalOn(claims), refusal)
  }
})

t.test('a name that is withdrawn as one kind is good as every other', async (t) => {
  const claims = token({ sid: 'x', sub: 'x', client_id: 'x', jti: 'x' })
  const CLAIM: Record<RevocationKind, object> = {
    session: { sid: 'y' },
    account: { sub: 'y' },
    client: { client_id: 'y' },
    token: { jti: 'y' },
  }
  for (const kind of Object.keys(CLAIM) as RevocationKind[]) {
    const set = setOf(entry(kind, 'x'))
    t.equal(set.judge(claims), 'revoked', kind)
    t.equal(set.judge({ ...claims, ...CLAIM[kind] }), 'good', kind)
  }
})

t.test('members that every object has are no entries', async (t) => {
  const set = setOf(entry('session', 's'))
  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
    t.equal(set.judge(token({ sid: name, sub: name, client_id: name, jti: name })), 'good', name)
})

t.test('a page that arrives late does not undo what came after it', async (t) => {
  const set = setOf(entry('account', 'a', { seq: 5, minVersion: 4 }), entry('account', 'a', { seq: 2, minVersion: 2 }))
  t.equal(set.judge(token({ sub: 'a', token_version: 3 })), 'stale')
  set.add(entry('account', 'a', { seq: 6, minVersion: null }))
  set.add(entry('account', 'a', { seq: 5, minVersion: 4 }))
  t.equal(set.judge(token({ sub: 'a', token_version: 9 })), 'revoked')
  t.equal(set.size, 1)
})

t.test('a store that went back, and gives numbers and versions again, makes nothing good', async (t) => {
  const set = setOf(
    entry('account', 'a', { seq: 10, minVersion: 7 }),
    entry('client', 'c', { seq: 11, minVersion: null }),
  )
  set.add(entry('account', 'a', { seq: 12, minVersion: 6 }))
  set.add(entry('client', 'c', { seq: 12, minVersion: 2 }))
  t.equal(set.judge(token({ sub: 'a', token_version: 6 })), 'stale')
  t.equal(set.judge(token({ client_id: 'c', token_version: 9 })), 'revoked')
  set.add(entry('account', 'a', { seq: 9, minVersion: 8 }))
  t.equal(set.judge(token({ sub: 'a', token_version: 7 })), 'stale', 'a lower number with a higher version counts')
})

t.test('an entry that is found is the one that was added, and lives as long as the longest', async (t) => {
  const set = setOf(entry('account', 'a', { minVersion: 4, seq: 3 }), entry('session', 's'))
  set.add(entry('account', 'a', { minVersion: 5, seq: 6, expiresAt: EXPIRY - 500 }))
  t.same(set.find('account', 'a'), entry('account', 'a', { minVersion: 5, seq: 6 }))
  t.same(set.find('session', 's'), entry('session', 's', { seq: 0 }))
  for (const kind of ['session', 'account', 'client', 'token'] as const) t.equal(set.find(kind, 'x'), undefined)
})

t.test('an entry goes in the second in which nothing it could hit is alive', async (t) => {
  const set = setOf(entry('session', 's'), entry('token', 'j', { expiresAt: EXPIRY + 1 }))
  set.sweep(EXPIRY - 1)
  t.equal(set.size, 2)
  set.sweep(EXPIRY)
  t.equal(set.size, 1)
  t.equal(set.judge(token({ sid: 's' })), 'good')
  t.equal(set.judge(token({ jti: 'j' })), 'revoked')
})

const NAMES = ['a', 'b', 'c'] as const
const name = fc.constantFrom(...NAMES)
const version = fc.integer({ min: 0, max: 5 })
const added = fc
  .record({
    kind: fc.constantFrom<RevocationKind>('session', 'account', 'client', 'token'),
    subject: name,
    minVersion: fc.option(version),
    seq: fc.integer({ min: 1, max: 30 }),
  })
  .map((one): Revocation => {
    const versioned = one.kind === 'account' || one.kind === 'client'
    return { ...one, minVersion: versioned ? one.minVersion : null, expiresAt: one.seq * 10 } // written later, over later
  })
const step = fc.oneof(
  { weight: 5, arbitrary: added.map((revocation) => ({ revocation })) },
  { weight: 1, arbitrary: fc.record({ now: fc.integer({ min: 0, max: 320 }) }) },
)
const claims = fc.record(
  { sub: name, client_id: name, jti: name, sid: name, token_version: version },
  { requiredKeys: ['sub', 'client_id', 'jti'] },
)

/** The model of the set: a plain list that is searched from end to end. A subject stays until its last entry goes. */
class Model {
  #list: Revocation[] = []

  add(revocation: Revocation): void {
    this.#list.push(revocation)
  }

  sweep(now: number): void {
    const lives = (one: Revocation) => this.#of(one.kind, one.subject).some(({ expiresAt }) => expiresAt > now)
    this.#list = this.#list.filter(lives)
  }

  get size(): number {
    return new Set(this.#list.map(({ kind, subject }) => `${kind} ${subject}`)).size
  }

  judge({ sid, sub, client_id, jti, token_version = 0 }: AccessTokenClaims): Verdict {
    const hits = (one: Revocation) => one.minVersion === null || one.minVersion > token_version
    const isHit = (kind: RevocationKind, subject: string | undefined) => this.#of(kind, subject).some(hits)
    if (isHit('session', sid) || isHit('token', jti) || isHit('client', client_id)) return 'revoked'
    if (!isHit('account', sub)) return 'good'
    return this.#of('account', sub).some(({ minVersion }) => minVersion === null) ? 'revoked' : 'stale'
  }

  #of(kind: RevocationKind, subject: string | undefined): Revocation[] {
    return this.#list.filter((one) => one.kind === kind && one.subject === subject)
  }
}

t.test('in whatever order entries come and go, the set judges as a plain list of them does', async (t) => {
  const property = fc.property(
    fc.array(step, { maxLength: 60 }),
    fc.array(claims, { minLength: 5 }),
    (steps, tokens) => {
      const set = new RevocationSet()
      const model = new Model()
      for (const step of steps) {
        for (const one of [set, model]) {
          if ('now' in step) one.sweep(step.now)
          else one.add(step.revocation)
        }
        if (set.size !== model.size) throw new Error(`${set.size} entries, and ${model.size} are expected`)
      }
      for (const one of tokens) {
        const [found, expected] = [set, model].map((judge) => judge.judge(token(one as Partial<AccessTokenClaims>)))
        if (found !== expected) throw new Error(`${JSON.stringify(one)} is ${found}, and ${expected} is expected`)
      }
    },
  )
  fc.assert(property, { numRuns: 2000 })
  t.pass('2,000 histories')
})
