import t from 'tap'
import { changing, page, slowStream, stream } from './change-answers.ts'
import { caller, jwk, NOW } from './feed-copies.ts'
import { copy, late, outage, settled } from './following.ts'

t.test('everything comes first, and then only what came after it', async (t) => {
  const { revocations, issuer, asked, questions, events, pass } = await changing(t)
  await revocations.hydrate()
  issuer.feed = await stream([{ after: 10, seq: 11, sessions: ['s1'] }])
  await pass(0.25)
  t.equal(revocations.judge(caller), 'revoked')
  issuer.feed = await stream([{ after: 11, exp: NOW + 120 }])
  await pass(0.5)
  t.same(questions(), ['?after=0', '?after=h1.10&wait=25', '?after=h1.11&wait=25', '?after=h1.11&wait=25'])
  t.equal(asked.at(-1)?.headers.get('if-none-match'), null, 'the question is the URL alone')
  t.match(events.slice(1), [
    { seq: 10, entries: 0 },
    { seq: 11, entries: 1 },
    { seq: 11, entries: 1 },
  ])
})

t.test(
  'a long list arrives page by page; other work has its turn between them, and each has the time-out',
  async (t) => {
    const { revocations, issuer, asked, pass } = await changing(t, { timeout: 2000 })
    const slow = slowStream()
    issuer.feed = async () => slow.reply
    let hydrated = false
    void revocations.hydrate().then(() => {
      hydrated = true
    })
    await settled()
    for (let i = 1; i <= 5; i += 1) {
      await slow.send(page(i, 5, 10, { sessions: [`s${i}`] }))
      await pass(1.75)
      t.same([hydrated, revocations.judge(caller)], i < 5 ? [false, 'good'] : [false, 'revoked'], `page ${i}`)
    }
    slow.end()
    await settled()
    t.same([hydrated, revocations.size, asked[0]?.signal.aborted], [true, 5, false])
  },
)

t.test('an answer that comes in one piece is applied in slices all the same', async (t) => {
  const { revocations, issuer, keys } = await changing(t)
  await keys.hydrate()
  const pages = 60
  issuer.feed = await stream(Array.from({ length: pages }, (_, i) => page(i + 1, pages, 10, { sessions: [`s${i}`] })))
  let turns = 0
  let isOver = false
  const count = () => {
    turns += 1
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  await revocations.hydrate()
  isOver = true
  t.equal(revocations.size, pages)
  t.ok(turns >= pages, `${turns} turns of the event loop`)
})

t.test('an answer that stops in between is left after the time-out', async (t) => {
  const { revocations, issuer, asked, pass } = await changing(t, { timeout: 2000 })
  const slow = slowStream()
  issuer.feed = async () => slow.reply
  void revocations.hydrate()
  await settled()
  await slow.send(page(1, 2, 10))
  await pass(2.25)
  t.equal(asked[0]?.signal.reason?.name, 'TimeoutError')
})

t.test('what comes when it is closed is not applied', async (t) => {
  const { revocations, issuer, types, pass, close } = await changing(t)
  await revocations.hydrate()
  const slow = slowStream()
  issuer.feed = async () => slow.reply
  await pass(0.5)
  close()
  await slow.send({ after: 10, seq: 11, sessions: ['s1'] })
  await settled()
  t.same([revocations.judge(caller), types(), slow.isCancelled()], ['good', ['revocations_applied'], true])
})

t.test('a bad line ends the answer: what came before it stays, and the next answer comes at once', async (t) => {
  const { revocations, issuer, questions, types, pass } = await changing(t)
  await revocations.hydrate()
  issuer.feed = await stream([
    { after: 10, seq: 11, sessions: ['s1'] },
    { after: 11, seq: 12, sessions: ['s2'], forged: true },
    { after: 11, seq: 12, sessions: ['s3'] },
  ])
  await pass(0.25)
  t.same([revocations.judge(caller), revocations.size], ['revoked', 1])
  t.same(types(), ['revocations_applied', 'revocations_applied', 'revocations_failed'])
  issuer.feed = await stream([{ after: 11 }])
  await pass(2)
  t.equal(questions()[2], '?after=h1.11')
})

t.test('a line without end, and one that is too long: neither is kept in memory', async (t) => {
  const { revocations, issuer, events } = await changing(t)
  const slow = slowStream()
  issuer.feed = async () => slow.reply
  const hydrated = revocations.hydrate()
  for (let i = 0; i < 17; i += 1) slow.sendText('x'.repeat(65_536))
  await hydrated
  t.match(events.at(-1), { type: 'revocations_failed', reason: 'a line of more than 1048576 bytes' })
  t.equal(slow.isCancelled(), true)
})

t.test('a gap: everything is asked for at once, and tokens that wait wait for that', async (t) => {
  const { revocations, issuer, questions, clock } = await changing(t)
  await revocations.hydrate()
  const answers = [await stream([{ after: 12, seq: 13 }]), await stream([page(1, 1, 13, { sessions: ['s1'] })])]
  issuer.feed = () => (answers.shift() ?? (() => late(t).promise))()
  clock.seconds += 3 // a standstill
  await revocations.due()
  t.equal(revocations.judge(caller), 'revoked')
  t.same(questions().slice(1), ['?after=h1.10', '?after=0'])
  const other = await changing(t)
  await other.revocations.hydrate()
  const more = [await stream([{ after: 12, seq: 13 }]), await stream([page(1, 1, 13, { sessions: ['s1'] })])]
  other.issuer.feed = () => (more.shift() ?? (() => late(t).promise))()
  await other.pass(0.5)
  t.same(other.questions(), ['?after=0', '?after=h1.10&wait=25', '?after=0'])
})

t.test('an issuer whose answers lead nowhere is not asked in a tight loop, and nobody waits for ever', async (t) => {
  for (const answer of [await stream([{ after: 12, seq: 13 }]), await stream([page(1, 1, 10)])]) {
    const { revocations, issuer, asked, pass } = await changing(t)
    issuer.feed = answer
    const hydrated = revocations.hydrate()
    await pass(20)
    await hydrated
    t.ok(asked.length >= 9 && asked.length <= 16, `${asked.length} requests in 20 s`)
  }
})

t.test('the store of the issuer went back: it is told once, and what was revoked stays so', async (t) => {
  const { revocations, issuer, types, pass } = await changing(t)
  issuer.feed = await stream([page(1, 1, 10, { sessions: ['s1'] })])
  await revocations.hydrate()
  issuer.feed = await stream([page(1, 1, 8, { history: 'h2' })])
  await pass(0.25)
  issuer.feed = await stream([{ after: 8, history: 'h2' }])
  await pass(1)
  t.equal(revocations.judge(caller), 'revoked')
  t.same(types().slice(0, 4), ['revocations_applied', 'issuer_went_back', 'revocations_applied', 'revocations_applied'])
  t.equal(types().filter((type) => type === 'issuer_went_back').length, 1)
})

t.test('a key that a document names is withdrawn', async (t) => {
  const { keys, revocations, issuer } = await changing(t)
  issuer.feed = await stream([page(1, 1, 10, { keys: [jwk.kid] })])
  await revocations.hydrate()
  t.equal(keys.verificationPem(jwk.kid), undefined)
})

t.test('entries are forgotten at their end, and a step of the clock forgets nothing', async (t) => {
  const { revocations, issuer, clock, pass } = await changing(t)
  issuer.feed = await stream([page(1, 1, 10, { sessions: ['s1'], until: NOW + 100 })])
  await revocations.hydrate()
  const renewal = await stream([{ after: 10, iat: NOW, exp: NOW + 3600 }])
  issuer.feed = renewal
  clock.seconds += 100
  await pass(30)
  t.equal(revocations.judge(caller), 'revoked', 'somebody has set the clock, for the moment')
  clock.milliseconds += 1_200_000
  await pass(15)
  t.same([revocations.judge(caller), revocations.size], ['good', 0])
})

t.test('a server of before: the whole feed, and the new form is tried again later and after a failure', async (t) => {
  const { revocations, issuer, asked, clock, pass } = await changing(t)
  issuer.speaksChanges = false
  issuer.feed = () => copy({ sessions: ['s1'] })
  await revocations.hydrate()
  t.equal(revocations.judge(caller), 'revoked')
  await pass(0.5)
  t.same(asked.at(-1)?.url.search, '?wait=25')
  issuer.speaksChanges = true
  const [changes, whole] = [await stream([page(1, 1, 10, { sessions: ['s1'] })]), await copy({})]
  issuer.feed = async () => (isChanges() ? changes() : whole.clone())
  const isChanges = () => asked.at(-1)?.url.searchParams.has('after') === true
  await pass(10)
  t.notOk(asked.some(({ url }) => url.searchParams.has('after')))
  clock.milliseconds += 600_000
  await pass(1)
  t.ok(isChanges(), 'after ten minutes')

  const other = await changing(t)
  other.issuer.speaksChanges = false
  await other.revocations.hydrate()
  other.issuer.feed = outage
  await other.pass(1)
  other.issuer.speaksChanges = true
  other.issuer.feed = await stream([page(1, 1, 10)])
  await other.pass(3)
  t.ok(other.asked.at(-1)?.url.searchParams.has('after'), 'after a failure')
})

t.test('a mirror that ignores the question sends the whole feed: it is taken as such', async (t) => {
  const { revocations, issuer, asked, questions, pass } = await changing(t)
  issuer.feed = () => copy({ sessions: ['s1'] })
  await revocations.hydrate()
  t.equal(revocations.judge(caller), 'revoked')
  await pass(0.25)
  t.same(questions(), ['?after=0', '?wait=25'])
  t.equal(asked.at(-1)?.headers.get('if-none-match'), '"one"')
})
