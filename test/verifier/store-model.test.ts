import fc from 'fast-check'
import t from 'tap'
import type { VerifierStore } from '../../src/verifier/index.ts'
import { storeWorld, token } from './store-world.ts'

const MAX_FEED_AGE = 10
/** Seconds by which the clocks of the verifiers differ at the most. */
const APART = 2
const VERIFIERS = 3
const SESSIONS = 5

const step = fc.oneof(
  fc.record({ what: fc.constant('revoke' as const), sid: fc.nat(SESSIONS - 1) }),
  fc.record({ what: fc.constant('verify' as const), who: fc.nat(VERIFIERS - 1), sid: fc.nat(SESSIONS) }),
  fc.record({ what: fc.constant('all at once' as const), sid: fc.nat(SESSIONS) }),
  fc.record({ what: fc.constant('pass' as const), seconds: fc.integer({ min: 1, max: 15 }) }),
  fc.record({ what: fc.constant('restart' as const), who: fc.nat(VERIFIERS - 1) }),
  fc.record({ what: fc.constant('new history' as const) }),
  // What the store does: texts are lost, come back, or are cut; puts are lost, or seen late by others.
  fc.record({ what: fc.constant('lose' as const), which: fc.nat(3) }),
  fc.record({ what: fc.constant('go back' as const), to: fc.nat(20) }),
  fc.record({ what: fc.constant('cut' as const), which: fc.nat(3), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ what: fc.constant('behave' as const), how: fc.constantFrom('well', 'deaf', 'late', 'broken') }),
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** A store that does what the run says. */
function fickleStore(delay: (milliseconds: number) => Promise<void>) {
  const texts = new Map<string, string>()
  const snapshots: [string, string][][] = []
  const state = { how: 'well' }
  const store: VerifierStore = {
    async get(name) {
      await delay(10)
      if (state.how === 'broken') throw new Error('down')
      const late = new Map(snapshots.at(-3) ?? [])
      return state.how === 'late' ? late.get(name) : texts.get(name)
    },
    async put(name, value) {
      await delay(10)
      if (state.how === 'broken') throw new Error('down')
      if (state.how === 'deaf') return
      texts.set(name, value)
      snapshots.push([...texts])
    },
  }
  return { store, texts, snapshots, state }
}

t.test('no store makes a token pass that was revoked longer ago than maxFeedAge, or refuses a good one', async (t) => {
  const world = storeWorld(t)
  const { create, issuer, jump, until, delay, now, time } = world
  let verified = 0
  let runs = 0

  const play = async (steps: readonly Step[]): Promise<void> => {
    runs += 1
    Object.assign(issuer, { history: `h${runs}`, revoked: [], maxAge: 60 })
    const { store, texts, snapshots, state } = fickleStore(delay)
    const started = (who: number) => create({ mode: 'on-demand', store, now: () => now() + (who % (APART + 1)) })
    const verifiers = Array.from({ length: VERIFIERS }, (_, who) => started(who))
    const revokedAt = new Map<string, number>()
    const check = async (who: number, sid: string) => {
      const text = await token(`${runs}-${sid}`, now())
      const began = time.ms
      const verdict = await verifiers[who]?.verify(text).then(
        () => 'good',
        ({ code }) => code,
      )
      verified += 1
      const age = (began - (revokedAt.get(sid) ?? Number.POSITIVE_INFINITY)) / 1000
      // A cold verifier waits for what another one was to put, and a late store does not show it in time.
      if (verdict === 'keys_unavailable' && state.how === 'late') return
      if (verdict === 'good' ? age >= MAX_FEED_AGE + APART : age < 0 || verdict !== 'invalid_token')
        throw new Error(`${sid} is ${verdict} at ${who}, ${age} s after it was revoked`)
    }
    const take = async (one: Step): Promise<void> => {
      const names = [...texts.keys()]
      if (one.what === 'revoke' && !revokedAt.has(`s${one.sid}`)) {
        issuer.revoked.push(`${runs}-s${one.sid}`)
        revokedAt.set(`s${one.sid}`, time.ms)
      } else if (one.what === 'verify') await until(check(one.who, `s${one.sid}`))
      else if (one.what === 'all at once')
        await until(Promise.all(verifiers.map((_, who) => check(who, `s${one.sid}`))))
      else if (one.what === 'pass') await jump(one.seconds)
      else if (one.what === 'new history') issuer.history += 'x'
      else if (one.what === 'restart') {
        verifiers[one.who]?.close()
        verifiers[one.who] = started(one.who)
      } else if (one.what === 'lose') texts.delete(names[one.which] ?? '')
      else if (one.what === 'go back') for (const [name, text] of snapshots[one.to] ?? []) texts.set(name, text)
      else if (one.what === 'cut') {
        const text = texts.get(names[one.which] ?? '') ?? ''
        texts.set(names[one.which] ?? '', text.slice(0, text.length * one.share))
      } else if (one.what === 'behave') state.how = one.how
    }
    try {
      for (const one of steps) await take(one)
    } finally {
      for (const verifier of verifiers) verifier.close()
      await jump(10)
    }
  }
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), play), {
    numRuns: 100,
    endOnFailure: true,
  })
  t.ok(verified > 200, `${verified} tokens`)
})
