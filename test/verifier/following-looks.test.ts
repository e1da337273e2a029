import t from 'tap'
import { caller, NOW } from './feed-copies.ts'
import { copy, following, late, outage } from './following.ts'

t.test('tokens wait for the first look, and then for none while all is well', async (t) => {
  for (const answer of [() => copy({}), outage]) {
    const { revocations, issuer, work, pass } = following(t)
    issuer.feed = answer
    const first = revocations.due()
    t.equal(revocations.due(), first)
    await first
    for (let second = 0; second < 50; second += 1) {
      t.equal(revocations.due(), undefined)
      work(1)
      await pass(0.25)
    }
  }
})

t.test('after a standstill tokens wait for one look, fresh or not, and the issuer is asked at once', async (t) => {
  for (const seconds of [3, 30, 3600]) {
    const { revocations, issuer, clock, asked, pass } = following(t)
    issuer.feed = () => copy({ exp: NOW + 60 })
    await revocations.hydrate()
    const { promise } = late(t)
    issuer.feed = () => promise // a long poll on a connection that nobody answers any more
    await pass(0.25)
    clock.seconds += seconds
    issuer.feed = () => copy({ seq: 1, iat: clock.seconds, exp: clock.seconds + 60, sessions: ['s1'] })
    const look = revocations.due()
    t.ok(look instanceof Promise, `${seconds} s`)
    t.equal(revocations.due(), look, 'one look for all')
    await look
    t.equal(revocations.judge(caller), 'revoked')
    t.equal(revocations.due(), undefined)
    t.same(
      asked.map(({ url }) => url.search),
      ['', '?wait=25', ''],
    )
  }
})

t.test('a copy that ends without a standstill is looked for once, and then onStale decides', async (t) => {
  const { revocations, issuer, clock, work, asked, pass } = following(t)
  await revocations.hydrate()
  const { promise } = late(t)
  issuer.feed = () => promise
  await pass(0.25)
  const { length } = asked
  work(64)
  t.equal(revocations.due(), undefined)
  work(1)
  issuer.feed = async () => new Response(null, { status: 500 })
  const look = revocations.due()
  t.ok(look instanceof Promise)
  await look
  t.equal(asked.length, length + 2, 'twice: the first may go out on a connection that is dead')
  for (let second = 0; second < 10; second += 1) {
    work(1)
    t.equal(revocations.due(), undefined, 'the issuer is known to be away')
  }
  clock.seconds += 3
  t.ok(revocations.due() instanceof Promise, 'but after a standstill it may be back')
})

t.test('a look that gives no fresh copy is not repeated by each token', async (t) => {
  const { revocations, issuer, clock, asked } = following(t)
  await revocations.hydrate()
  clock.seconds += 65
  issuer.feed = async () => new Response(null, { status: 304 }) // of a cache
  await revocations.due()
  const { length } = asked
  for (let i = 0; i < 10; i += 1) t.equal(revocations.due(), undefined)
  t.equal(asked.length, length)
})

t.test('a look that takes longer than the time-out is over, and is not repeated', async (t) => {
  const { revocations, issuer, clock, asked, pass } = following(t, { timeout: 2000 })
  await revocations.hydrate()
  issuer.feed = () => {
    const signal = asked.at(-1)?.signal
    return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
  }
  await pass(0.25)
  clock.seconds += 65
  let isOver = false
  void revocations.due()?.then(() => {
    isOver = true
  })
  await pass(1.75)
  t.equal(isOver, false)
  await pass(0.25)
  t.equal(isOver, true)
  t.equal(asked.length, 3)
})

t.test('closed: nobody waits', async (t) => {
  const { revocations, clock, close } = following(t)
  await revocations.hydrate()
  close()
  clock.seconds += 100
  await revocations.due()
  t.equal(revocations.due(), undefined)
})
