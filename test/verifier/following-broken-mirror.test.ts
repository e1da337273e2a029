import t from 'tap'
import { changing, line, page, slowStream, stream } from './change-answers.ts'
import { caller, NOW } from './feed-copies.ts'
import { settled } from './following.ts'

// A mirror or a proxy that is broken, and a clock that is wrong.

t.test('documents that bring nothing do not keep an answer alive: nobody waits for it for longer', async (t) => {
  const { revocations, issuer, asked, pass } = await changing(t, { timeout: 2000 })
  await revocations.hydrate()
  const slow = slowStream()
  issuer.feed = async () => slow.reply
  await pass(0.25)
  const seconds = 2 + 25 // the time-out and the wait of a long poll
  for (let second = 1; second <= seconds; second += 1) {
    t.equal(asked[1]?.signal.aborted, false)
    await slow.send(second < 3 ? { after: 10, seq: 10 + second } : { after: 12 })
    await pass(1)
  }
  t.equal(asked[1]?.signal.aborted, false, 'the limit began anew with the last document that brought something')
  await pass(2)
  t.equal(asked[1]?.signal.reason?.name, 'TimeoutError')
})

t.test('an answer of nothing but renewals is left', async (t) => {
  const { revocations, issuer, events, pass } = await changing(t)
  await revocations.hydrate()
  const renewal = await line({ after: 10 })
  const slow = slowStream()
  issuer.feed = async () => slow.reply
  slow.sendText(renewal.repeat(600))
  await pass(1)
  for (let i = 0; i < 20; i += 1) await settled()
  t.match(events.at(-1), { type: 'revocations_failed', reason: 'more than 512 documents that bring nothing' })
  t.equal(slow.isCancelled(), true)
})

t.test('a clock that was wrong at the start, and is set back: everything is asked for anew', async (t) => {
  const wall = { seconds: NOW + 7200 }
  const { revocations, issuer, questions, pass } = await changing(t, { now: () => wall.seconds })
  const whole = await stream([page(1, 1, 10, { sessions: ['s1'], until: NOW + 1000 })])
  const renewal = await stream([{ after: 10 }])
  issuer.feed = () => (questions().at(-1)?.startsWith('?after=0') ? whole() : renewal())
  await revocations.hydrate()
  await pass(15)
  wall.seconds = NOW + 10
  await pass(5)
  t.equal(revocations.judge(caller), 'revoked', 'by the wrong clock it was over, and forgotten')
  t.equal(questions().filter((question) => question.startsWith('?after=0')).length, 2, 'once, and not more')
  wall.seconds = NOW + 6
  await pass(5)
  t.equal(questions().filter((question) => question.startsWith('?after=0')).length, 2, 'clocks differ a little')
})
