import t from 'tap'
import { NOW, token, watching } from './watching.ts'

// Clocks that do not run as they should, and what may be for lack of knowledge only.

t.test('a clock that is set, and a machine that slept', async (t) => {
  const { add, told, pass, clock, revoked, watch } = watching()
  add(token('short', NOW + 50))
  add(token('long', NOW + 5000))
  add(token('revoked', NOW + 5000))
  clock.seconds -= 1000
  await pass(900)
  t.same(told, [], 'set back: it is good for longer, as for the guard')
  clock.seconds += 2000
  await pass(1)
  t.same(told, [['short', 'expired']], 'set forward')
  clock.seconds += 1200 // asleep: the monotonic clock stands
  revoked.add('revoked')
  watch.changed()
  await pass(1)
  t.same(told[1], ['revoked', 'revoked'])
  clock.seconds += 2500
  await pass(1)
  t.same(told[2], ['long', 'expired'])
})

t.test('a clock that throws: who begins is told, and nobody is forgotten', async (t) => {
  const { watch, add, told, pass, clock, revoked, settled, timers } = watching()
  add(token('expires', NOW + 1))
  add(token('revoked'))
  for (let i = 0; i < 100; i += 1) add(token(`good${i}`))
  await settled()
  const { turns } = timers
  clock.isBroken = true
  t.throws(() => add(token('new')), /a clock that throws/)
  revoked.add('revoked')
  watch.changed()
  await settled()
  await pass(20)
  t.ok(timers.turns - turns <= 22, 'it does not try without a pause')
  t.same(told, [])
  clock.isBroken = false
  await pass(1)
  t.same(told.sort(), [
    ['expires', 'expired'],
    ['revoked', 'revoked'],
  ])
})

t.test('what may be for lack of knowledge only counts after a look at the issuer', async (t) => {
  for (const what of ['key', 'stale'] as const) {
    const { watch, add, told, feed, keys, issuer, settled, pass, timers } = watching()
    const { promise, resolve } = Promise.withResolvers<void>()
    issuer.look = () => promise
    for (const id of ['a', 'b', 'c']) add(token(id))
    const stop = add(token('stopped'))
    const lose = () => (what === 'key' ? keys.delete('k1') : Object.assign(feed, { isStale: true }))
    const find = () => (what === 'key' ? keys.add('k1') : Object.assign(feed, { isStale: false }))
    lose()
    if (what === 'key') watch.changed() // time alone makes the feed stale
    await pass(3)
    add(token('late'))
    await pass(3)
    t.same(told, [], `${what}: it waits`)
    t.equal(issuer.looks, 1, 'one look for all')
    stop()
    find()
    resolve()
    await pass(3)
    t.same(told, [], `${what}: the look brought it`)

    issuer.look = async () => {
      throw new Error('the issuer is away')
    }
    lose()
    watch.changed()
    await settled()
    t.same(
      told.map(([id, why]) => [id, why]).sort(),
      ['a', 'b', 'c', 'late'].map((id) => [id, what]),
      `${what}: the look was in vain`,
    )
    t.equal(issuer.looks, 2)
    t.notOk(timers.isSet)
  }
})

t.test('a look that ends after close tells nobody', async (t) => {
  const { watch, add, told, feed, issuer, pass, timers } = watching()
  const { promise, resolve } = Promise.withResolvers<void>()
  issuer.look = () => promise
  add(token('a'))
  feed.isStale = true
  await pass(1)
  t.equal(issuer.looks, 1)
  watch.close()
  resolve()
  await pass(5)
  t.same(told, [])
  t.notOk(timers.isSet)
})

t.test('what a walk has told while a look was under way is not told again after it', async (t) => {
  const { watch, add, told, feed, issuer, pass, revoked, settled, timers } = watching()
  const { promise, resolve } = Promise.withResolvers<void>()
  issuer.look = () => promise
  for (let i = 0; i < 9000; i += 1) add(token(`t${i}`))
  feed.isStale = true
  await pass(2)
  feed.isStale = false
  revoked.add('t8999')
  watch.changed()
  timers.turn()
  t.ok(timers.isDue, 'the walk is under way')
  resolve()
  for (let i = 0; i < 8; i += 1) await undefined
  await settled()
  t.same(told, [['t8999', 'revoked']])
})
