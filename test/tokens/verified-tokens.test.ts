import fc from 'fast-check'
import t from 'tap'
import { type VerifiedToken, VerifiedTokens } from '../../src/tokens/verified-tokens.ts'
import { good } from '../support/claims.ts'

const entry = (kid = 'kid'): VerifiedToken => ({ kid, claims: good })

t.test('a token is found by its exact text', async (t) => {
  const tokens = new VerifiedTokens({ entries: 10, characters: 1e9 })
  const kept = entry()
  t.equal(tokens.get('a.b.c'), undefined)
  tokens.put('a.b.c', kept)
  t.match(tokens.get('a.b.c'), kept)
  for (const other of ['a.b.C', 'a.b.c ', ' a.b.c', 'a.b.', '', 'constructor', '__proto__'])
    t.equal(tokens.get(other), undefined, other)
})

t.test('two tokens with the same end of their signatures are two', async (t) => {
  const tokens = new VerifiedTokens({ entries: 10, characters: 1e9 })
  const end = 's'.repeat(60)
  const [one, two] = [entry('one'), entry('two')]
  tokens.put(`a.a.${end}`, one)
  t.equal(tokens.get(`b.b.${end}`), undefined)
  tokens.drop(`b.b.${end}`)
  t.match(tokens.get(`a.a.${end}`), one)
  tokens.put(`b.b.${end}`, two)
  t.match(tokens.get(`b.b.${end}`), two)
  t.equal(tokens.get(`a.a.${end}`), undefined, 'the older one is verified again')
})

t.test('however many tokens come, at most two generations are held', async (t) => {
  const tokens = new VerifiedTokens({ entries: 10, characters: 1e9 })
  let most = 0
  for (let i = 0; i < 1000; i += 1) {
    tokens.put(`token-${i}`, entry())
    most = Math.max(most, tokens.size)
  }
  t.ok(most <= 20, `${most}`)
  t.ok(tokens.get('token-999'))
  t.equal(tokens.get('token-0'), undefined)
})

t.test('a token that is used stays, one that is not used goes', async (t) => {
  const tokens = new VerifiedTokens({ entries: 3, characters: 1e9 })
  tokens.put('used', entry())
  tokens.put('unused', entry())
  for (let i = 0; i < 30; i += 1) {
    tokens.put(`other-${i}`, entry())
    t.ok(tokens.get('used'), `after ${i + 1} others`)
  }
  t.equal(tokens.get('unused'), undefined)
  t.ok(tokens.size <= 6)
})

t.test('a dropped token is gone from both generations', async (t) => {
  const tokens = new VerifiedTokens({ entries: 2, characters: 1e9 })
  tokens.put('young', entry())
  tokens.drop('young')
  t.equal(tokens.get('young'), undefined)

  for (const token of ['old', 'a', 'b']) tokens.put(token, entry())
  tokens.drop('old')
  t.equal(tokens.get('old'), undefined)

  for (const token of ['both', 'c', 'd']) tokens.put(token, entry())
  t.ok(tokens.get('both'), 'promoted')
  tokens.drop('both')
  t.equal(tokens.get('both'), undefined)
  tokens.drop('never seen')
})

t.test('after any puts, gets and drops it answers with the last entry of a token or with nothing', async () => {
  // Two of them have the same ending, longer than the part by which a token is looked up.
  const token = fc.constantFrom('a', 'b', 'c', 'd', `e${'z'.repeat(60)}`, `f${'z'.repeat(60)}`)
  const step = fc.record({ what: fc.constantFrom('put', 'get', 'drop'), token })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 60 }), (limit, steps) => {
      const tokens = new VerifiedTokens({ entries: limit, characters: 1e9 })
      const last = new Map<string, VerifiedToken>()
      return steps.every(({ what, token }, row) => {
        if (what === 'put') {
          last.set(token, entry(`kid-${row}`))
          tokens.put(token, last.get(token) ?? entry())
        }
        if (what === 'drop') {
          last.delete(token)
          tokens.drop(token)
        }
        const found = tokens.get(token)
        const right = found?.kid === last.get(token)?.kid || (found === undefined && what === 'get')
        return right && tokens.size <= 2 * limit
      })
    }),
    { numRuns: 1000 },
  )
})

t.test('of two tokens that end alike the one put last is there, and never an older entry of the other', async (t) => {
  const [one, other] = ['e', 'f'].map((start) => start + 'z'.repeat(60)) as [string, string]
  const tokens = new VerifiedTokens({ entries: 2, characters: 1e9 })
  tokens.put('a', entry())
  tokens.put(one, entry('first'))
  tokens.put(one, entry('second'))
  tokens.put(other, entry('third'))
  t.equal(tokens.get(one), undefined)
  t.match(tokens.get(other), { kid: 'third' })
})

t.test('its tokens are bounded in characters too', async (t) => {
  const tokens = new VerifiedTokens({ entries: 1000, characters: 100 })
  let most = 0
  for (let i = 0; i < 1000; i += 1) {
    tokens.put(`token-${i}`.padEnd(20, '.'), entry())
    most = Math.max(most, tokens.size)
  }
  t.ok(most <= 10, `${most}`)
  t.ok(tokens.get('token-999'.padEnd(20, '.')))
  t.equal(tokens.get('token-900'.padEnd(20, '.')), undefined)
})

t.test('a sweep drops what is over from both generations, and nothing else', async (t) => {
  const tokens = new VerifiedTokens({ entries: 2, characters: 1e9 })
  const until = (exp: number) => ({ kid: 'kid', claims: { ...good, exp } })
  tokens.put('over and old', until(100))
  tokens.put('alive and old', until(101))
  tokens.put('over', until(99))
  tokens.put('alive', until(1000))
  tokens.sweep(100)
  t.equal(tokens.size, 2)
  t.ok(tokens.get('alive'))
  t.ok(tokens.get('alive and old'))
})
