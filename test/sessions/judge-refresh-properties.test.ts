import fc from 'fast-check'
import t from 'tap'
import { networkOf } from '../../src/limits/network.ts'
import { formatExchanges, parseExchanges } from '../../src/sessions/exchanges.ts'
import { judgeRefresh, type RefreshState } from '../../src/sessions/judge-refresh.ts'

// What holds for a refresh token whatever the session's row says.

const NOW = 1_800_000_000
const counter = fc.nat(8)
const instant = fc.integer({ min: NOW - 40, max: NOW + 5 })
const address = fc.constantFrom(null, '192.0.2.1', '198.51.100.1', '2001:db8::1')
const agent = fc.constantFrom(null, 'A', 'B')
const list = fc.array(fc.record({ at: instant, counter }), { maxLength: 5 })
const anyState: fc.Arbitrary<RefreshState> = fc.record({
  accountStatus: fc.constant('active'),
  endedAt: fc.constant(null),
  expiresAt: fc.constant(NOW + 1),
  counter,
  validFrom: fc.nat(3),
  rotatedAt: instant,
  exchanged: list.map(formatExchanges),
  foreignRepeats: fc.nat(5),
  foreignCounter: fc.integer({ min: -1, max: 8 }),
  ip: address,
  userAgent: agent,
})
const by = fc.record({
  now: fc.constant(NOW),
  limits: fc.record({ grace: fc.nat(20), retry: fc.nat(40) }),
  source: fc.record({ ip: address, userAgent: agent }),
})

t.test('the list is read as it was written', async () => {
  fc.assert(
    fc.property(
      list,
      (exchanges) => JSON.stringify(parseExchanges(formatExchanges(exchanges))) === JSON.stringify(exchanges),
    ),
  )
})

t.test('no text in the place of the list throws, and what is read of it can be written', async () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const exchanges = parseExchanges(text)
      return JSON.stringify(parseExchanges(formatExchanges(exchanges))) === JSON.stringify(exchanges)
    }),
  )
})

t.test('who shows a token within its grace from the same place is neither refused nor ends anything', async () => {
  fc.assert(
    fc.property(anyState, by, (state, by) => {
      for (const { at, counter } of parseExchanges(state.exchanged)) {
        if (by.limits.grace === 0 || at < NOW - by.limits.grace) continue
        if (counter < state.validFrom || counter > state.counter) continue
        const { kind } = judgeRefresh(state, counter, { ...by, source: state })
        if (!['rotated', 'repeated'].includes(kind)) return false
      }
      return true
    }),
  )
})

t.test('a token in no list never gets another, and a newer one does from the same place', async () => {
  fc.assert(
    fc.property(anyState, counter, by, (state, counter, by) => {
      const { kind } = judgeRefresh(state, counter, by)
      const known = parseExchanges(state.exchanged).some((one) => one.counter === counter)
      const isImplied = counter === state.counter - 1
      const { ip, userAgent } = by.source
      const isElsewhere = userAgent !== state.userAgent && networkOf(ip) !== networkOf(state.ip)
      if (counter > state.counter)
        return kind === (counter < state.validFrom ? 'refused' : isElsewhere ? 'reused' : 'ahead')
      return counter === state.counter || known || isImplied || ['refused', 'reused'].includes(kind)
    }),
  )
})

t.test('what is stored begins with this exchange, and loses none that is within the grace', async () => {
  fc.assert(
    fc.property(anyState, counter, by, (state, counter, by) => {
      const verdict = judgeRefresh(state, counter, by)
      if (!('exchanged' in verdict)) return true
      const [made, ...others] = parseExchanges(verdict.exchanged)
      const { grace } = by.limits
      const kept = parseExchanges(state.exchanged).filter(({ at }) => grace > 0 && at >= NOW - grace)
      return (
        made?.at === NOW &&
        made.counter === counter &&
        kept.every((one) => others.some((other) => other.at === one.at && other.counter === one.counter))
      )
    }),
  )
})
