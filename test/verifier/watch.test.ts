import t from 'tap'
import { NOW, SKEW, token, watching } from './watching.ts'

t.test('what is over already is told once, and not before the call has returned', async (t) => {
  for (const [why, exp] of [
    ['expired', NOW - SKEW],
    ['revoked', NOW + 100],
  ] as const) {
    const scene = watching()
    if (why === 'revoked') scene.revoked.add('a')
    scene.add(token('a', exp))
    t.same(scene.told, [], `${why}: not at once`)
    t.ok(scene.timers.isDue, `${why}: but soon`)
    await scene.pass(10)
    t.same(scene.told, [['a', why]])
    t.notOk(scene.timers.isSet)
  }
})

t.test('a token is over at the second at which the guard refuses it', async (t) => {
  const { add, told, pass, judge } = watching()
  const claims = token('a', NOW + 10)
  add(claims)
  add(token('b', NOW + 10))
  add(token('later', NOW + 3600))
  await pass(10 + SKEW - 1)
  t.equal(judge(claims, 'k1'), undefined)
  t.same(told, [])
  await pass(1)
  t.equal(judge(claims, 'k1'), 'expired')
  await pass(1)
  const both = ['a', 'b'].map((id) => [id, 'expired'])
  t.same(told, both, 'one second later at the latest')
  await pass(60)
  t.same(told, both, 'once')
})

t.test('who is revoked is told, and nobody else', async (t) => {
  const { watch, add, told, revoked, settled, pass } = watching()
  for (const id of ['a', 'b', 'c']) add(token(id))
  revoked.add('b')
  watch.changed()
  await settled()
  t.same(told, [['b', 'revoked']])
  watch.changed()
  await pass(5)
  t.equal(told.length, 1, 'once')
})

t.test('all connections of one token are told, and it is judged once', async (t) => {
  const { watch, add, told, revoked, settled, judged } = watching()
  const claims = token('shared')
  const stops = [0, 1, 2, 3].map(() => add(claims))
  stops[1]?.()
  stops[1]?.()
  revoked.add('shared')
  judged.length = 0
  watch.changed()
  await settled()
  t.equal(told.length, 3)
  t.same(judged, ['shared'])
  for (const stop of stops) stop()
  add(claims)
  await settled()
  t.equal(told.length, 4, 'and who comes later too')
})

t.test('an owner that fails keeps nobody else from being told', async (t) => {
  const { watch, add, told, errors, revoked, settled } = watching()
  const fault = new Error('a socket that is gone')
  add(token('throws'), 'k1', () => {
    throw fault
  })
  add(token('rejects'), 'k1', async () => {
    throw fault
  })
  add(token('good'))
  for (const id of ['throws', 'rejects', 'good']) revoked.add(id)
  watch.changed()
  await settled()
  t.same(
    told.map(([id]) => id),
    ['throws', 'rejects', 'good'],
  )
  t.same(errors, [fault, fault])
})

t.test('an owner that is told may stop others, add others, and close everything', async (t) => {
  const { watch, add, told, revoked, settled, pass, timers } = watching()
  const first = token('first')
  const stops = [() => {}]
  add(first, 'k1', () => {
    for (const stop of stops) stop()
    add(token('second'))
    add(first)
  })
  stops.push(add(token('stopped')))
  for (const id of ['first', 'stopped']) revoked.add(id)
  watch.changed()
  await settled()
  t.same(
    told.map(([id]) => id),
    ['first', 'first'],
    'the one that was stopped is not told, and the one that was added is',
  )
  const closing = add(token('closing'), 'k1', () => watch.close())
  add(token('behind'))
  for (const id of ['closing', 'behind', 'second']) revoked.add(id)
  watch.changed()
  await pass(200)
  t.same(
    told.slice(2).map(([id]) => id),
    ['second', 'closing'],
    'after close nobody is told',
  )
  t.notOk(timers.isSet)
  closing()
})

t.test('after close nobody is told, and nobody can begin', async (t) => {
  const { watch, add, told, pass, timers, revoked } = watching()
  const stop = add(token('a'))
  revoked.add('a')
  watch.changed()
  watch.close()
  t.notOk(timers.isSet)
  t.throws(() => add(token('b')), { name: 'TypeError', message: /closed/ })
  stop()
  watch.changed()
  watch.close()
  await pass(200)
  t.same(told, [])
})

t.test('there is one timer while somebody is watched, and none otherwise', async (t) => {
  const { watch, add, settled, timers, pass } = watching()
  t.notOk(timers.isSet, 'at the start')
  watch.changed()
  t.notOk(timers.isSet, 'when nobody is there to be judged')
  const stops = Array.from({ length: 10_000 }, (_, i) => add(token(`t${i}`, NOW + 100 + (i % 800))))
  await settled()
  const { turns } = timers
  await pass(60)
  t.equal(timers.turns - turns, 60, 'it fires once a second')
  for (const stop of stops) stop()
  t.notOk(timers.isSet, 'after the last one has stopped')
})

t.test('thousands are judged and told in slices, and what comes meanwhile is not missed', async (t) => {
  const { watch, add, told, revoked, timers, judged, settled } = watching()
  for (let i = 0; i < 10_000; i += 1) add(token(`t${i}`))
  const crowd = token('crowd')
  for (let i = 0; i < 1000; i += 1) add(crowd)
  await settled()
  judged.length = 0
  watch.changed()
  timers.turn()
  t.ok(judged.includes('t0') && !judged.includes('t9999'), 'the walk is under way')
  for (const id of ['t0', 't9999', 'crowd']) revoked.add(id)
  watch.changed()
  while (timers.isDue) {
    const before = [judged.length, told.length] as const
    timers.turn()
    t.ok(judged.length - before[0] <= 4000 && told.length - before[1] <= 50, 'a slice')
  }
  t.equal(told.length, 1002)
  t.same(
    told.filter(([id]) => id !== 'crowd').map(([id]) => id),
    ['t9999', 't0'],
  )
  t.ok(judged.length <= 20_010, 'two walks')
  const { length } = judged
  for (let i = 0; i < 100; i += 1) watch.changed()
  await settled()
  t.equal(judged.length, length + 9998, 'a hundred changes at once are one walk')
})

t.test('nothing stays of who has stopped, and of who was told', async (t) => {
  const { watch, add, told, pass, revoked, settled } = watching()
  let reads = 0
  const exp = {
    valueOf() {
      reads += 1
      return NOW + 10
    },
  }
  add(token('other', NOW + 1000))
  add(token('stopped', exp as never))()
  add(token('told', exp as never))
  revoked.add('told')
  watch.changed()
  await settled()
  t.same(told, [['told', 'revoked']])
  reads = 0
  await pass(30)
  t.equal(reads, 0, 'its time of expiry is not compared any more')
})
