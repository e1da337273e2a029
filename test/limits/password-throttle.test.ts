import fc from 'fast-check'
import t from 'tap'
import { createBudget } from '../../src/limits/budget.ts'
import { createPasswordThrottle, delayAfter, type PasswordThrottle } from '../../src/limits/password-throttle.ts'

const DAY = 86_400
const DEFAULTS = { free: 5, longest: 3600, perAccount: 30, perNetwork: 100, all: 0, mostPairs: 1000 }

function throttleAt(options: Partial<typeof DEFAULTS> = {}) {
  const { free, longest, perAccount, perNetwork, all, mostPairs } = { ...DEFAULTS, ...options }
  let instant = 1_800_000_000
  const now = () => instant
  const throttle = createPasswordThrottle({
    delays: { free, longest },
    strangers: {
      account: createBudget({ limit: perAccount, window: DAY }, now),
      network: createBudget({ limit: perNetwork, window: 3600 }, now),
      all: createBudget({ limit: all, window: 3600 }, now),
    },
    now,
    mostPairs,
  })
  const pass = (seconds: number) => {
    instant += seconds
  }
  return { throttle, now, pass }
}

/** A whole attempt. @returns 'in' when it was admitted, else the seconds to wait */
function attempt(
  throttle: PasswordThrottle,
  [account, network]: [string, string],
  outcome: 'succeeded' | 'failed' | 'void' = 'failed',
): 'in' | number {
  const admission = throttle.begin({ account, network })
  if (!admission.admitted) return admission.retryIn
  throttle.end(admission.ticket, outcome)
  return 'in'
}

t.test('the delay doubles from the last free failure on, up to the longest', async (t) => {
  const TABLE: [failures: number, delay: number][] = [
    [0, 0],
    [4, 0],
    [5, 1],
    [6, 2],
    [7, 4],
    [16, 2048],
    [17, 3600],
    [5000, 3600],
  ]
  for (const [failures, delay] of TABLE) t.equal(delayAfter(failures, { free: 5, longest: 3600 }), delay, `${failures}`)
  t.equal(delayAfter(5000, { free: 0, longest: 3600 }), 0, 'off')
})

t.test('failures are forgotten after a day without an attempt, and not sooner', async (t) => {
  for (const [seconds, next] of [
    [DAY - 1, 1],
    [DAY, 'in'],
  ] as const) {
    const { throttle, pass } = throttleAt()
    for (let i = 0; i < 4; i += 1) attempt(throttle, ['ada', 'home'])
    pass(seconds)
    t.equal(attempt(throttle, ['ada', 'home']), 'in')
    t.equal(attempt(throttle, ['ada', 'home']), next, `after ${seconds} s`)
  }
})

t.test('a network that is known stays so after an attempt that was not judged', async (t) => {
  const { throttle } = throttleAt({ perAccount: 2 })
  for (const outcome of ['succeeded', 'void'] as const) attempt(throttle, ['ada', 'home'], outcome)
  for (const network of ['far', 'farther']) t.equal(attempt(throttle, ['ada', network]), 'in')
  t.not(attempt(throttle, ['ada', 'farthest']), 'in', 'strangers have nothing left')
  t.equal(attempt(throttle, ['ada', 'home']), 'in')
})

t.test('five wrong passwords are free, then one per delay', async (t) => {
  const { throttle, pass } = throttleAt()
  const ada: [string, string] = ['ada', 'home']
  for (let i = 0; i < 5; i += 1) t.equal(attempt(throttle, ada), 'in')
  for (const delay of [1, 2, 4, 8, 16]) {
    t.equal(attempt(throttle, ada), delay)
    t.equal(attempt(throttle, ada, 'succeeded'), delay, 'the right password too: else it would show')
    pass(delay)
    t.equal(attempt(throttle, ada), 'in')
  }
  t.equal(attempt(throttle, ['ada', 'elsewhere']), 'in', 'another network')
  t.equal(attempt(throttle, ['grace', 'home']), 'in', 'another account')
})

t.test('success resets the pair, and so does a day of quiet', async (t) => {
  const { throttle, pass } = throttleAt()
  const ada: [string, string] = ['ada', 'home']
  for (let i = 0; i < 4; i += 1) attempt(throttle, ada)
  t.equal(attempt(throttle, ada, 'succeeded'), 'in')
  for (let i = 0; i < 5; i += 1) t.equal(attempt(throttle, ada), 'in')
  t.equal(attempt(throttle, ada), 1)
  pass(DAY)
  for (let i = 0; i < 5; i += 1) t.equal(attempt(throttle, ada), 'in')
})

t.test('guesses sent at once are counted as they begin', async (t) => {
  const { throttle } = throttleAt()
  const admissions = Array.from({ length: 50 }, () => throttle.begin({ account: 'ada', network: 'home' }))
  t.equal(admissions.filter(({ admitted }) => admitted).length, 5)
})

t.test('what was not judged does not count', async (t) => {
  const { throttle } = throttleAt({ perAccount: 6, perNetwork: 6 })
  for (let i = 0; i < 100; i += 1) t.equal(attempt(throttle, ['ada', 'home'], 'void'), 'in')
  for (let i = 0; i < 5; i += 1) t.equal(attempt(throttle, ['ada', 'home']), 'in')
  t.equal(attempt(throttle, ['ada', 'home']), 1)
})

t.test('strangers share the allowance of an account; a network where somebody got in does not need it', async (t) => {
  const { throttle, pass } = throttleAt()
  t.equal(attempt(throttle, ['ada', 'home'], 'succeeded'), 'in')
  for (let i = 0; i < 30; i += 1) t.equal(attempt(throttle, ['ada', `bot ${i}`]), 'in')
  t.equal(attempt(throttle, ['ada', 'bot 30']), DAY / 30)
  t.equal(attempt(throttle, ['ada', 'home']), 'in')
  t.equal(attempt(throttle, ['ada', 'home'], 'succeeded'), 'in')
  const refused = throttle.begin({ account: 'ada', network: 'office' })
  t.match(refused, { admitted: false, stranger: true })
  t.match(
    throttle.begin({ account: 'ada', network: 'office', fromKnownNetwork: true }),
    { admitted: true },
    'the store knows it',
  )
  t.equal(attempt(throttle, ['ada', 'office']), 'in', 'and need not be asked again')
  t.equal(attempt(throttle, ['grace', 'bot 1']), 'in', 'another account')
  pass(DAY / 30)
  t.equal(attempt(throttle, ['ada', 'bot 31']), 'in')
})

t.test('spraying: one network gets so many failures over all accounts, and its own people still get in', async (t) => {
  const { throttle } = throttleAt()
  t.equal(attempt(throttle, ['ada', 'cafe'], 'succeeded'), 'in')
  for (let i = 0; i < 100; i += 1) t.equal(attempt(throttle, [`user ${i}`, 'cafe']), 'in')
  t.equal(attempt(throttle, ['user 100', 'cafe']), 36)
  t.equal(attempt(throttle, ['ada', 'cafe'], 'succeeded'), 'in')
  for (let i = 0; i < 200; i += 1) attempt(throttle, ['user 0', 'cafe'])
  t.equal(attempt(throttle, ['user 0', 'home']), 'in', 'what the network was refused is not charged to the account')
})

t.test('the cap over everything stops strangers only', async (t) => {
  const { throttle } = throttleAt({ all: 10 })
  t.equal(attempt(throttle, ['ada', 'home'], 'succeeded'), 'in')
  for (let i = 0; i < 10; i += 1) t.equal(attempt(throttle, [`user ${i}`, `net ${i}`]), 'in')
  t.equal(attempt(throttle, ['grace', 'net 11']), 360)
  t.equal(attempt(throttle, ['ada', 'home'], 'succeeded'), 'in')
})

t.test('memory is bounded: the pair unused for longest is forgotten, nobody is refused', async (t) => {
  const { throttle } = throttleAt({ mostPairs: 3, perAccount: 0, perNetwork: 0 })
  for (let i = 0; i < 6; i += 1) attempt(throttle, ['ada', 'home'])
  t.equal(attempt(throttle, ['ada', 'home']), 1)
  for (let i = 0; i < 3; i += 1) t.equal(attempt(throttle, [`user ${i}`, 'home']), 'in')
  t.equal(attempt(throttle, ['ada', 'home']), 'in')
})

// Properties, for a day of guesses: any pace, any network, in parallel or one after the other.

const guess = fc.record({
  network: fc.integer({ min: 0, max: 40 }),
  pause: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 4000 })),
  ends: fc.constantFrom('failed' as const, 'never' as const),
})
const guesses = fc.array(guess, { minLength: 1, maxLength: 300 })

t.test('an account sees fewer than 100 wrong passwords in any day', async () => {
  fc.assert(
    fc.property(guesses, fc.boolean(), (guesses, ownerAtHome) => {
      const { throttle, now, pass } = throttleAt({ perNetwork: 0 })
      if (ownerAtHome) attempt(throttle, ['ada', 'net 0'], 'succeeded') // the attacker sits in the owner's own network too
      const wrong: number[] = []
      for (const { network, pause, ends } of guesses) {
        pass(pause)
        const admission = throttle.begin({ account: 'ada', network: `net ${network}` })
        if (!admission.admitted) continue
        wrong.push(now())
        if (ends === 'failed') throttle.end(admission.ticket, 'failed')
      }
      return wrong.every((from) => wrong.filter((instant) => instant >= from && instant < from + DAY).length < 100)
    }),
  )
})

t.test('as many guesses as can be made leave an account below 100 a day', async (t) => {
  const { throttle, pass } = throttleAt({ perNetwork: 0 })
  attempt(throttle, ['ada', 'home'], 'succeeded')
  let wrong = 0
  for (let second = 0; second < DAY; second += 1) {
    if (attempt(throttle, ['ada', 'home']) === 'in') wrong += 1
    if (attempt(throttle, ['ada', `bot ${second}`]) === 'in') wrong += 1
    pass(1)
  }
  t.ok(wrong < 100, `${wrong}`)
  t.ok(wrong > 60, `${wrong}: the most a day can see was really tried`)
})

t.test('an owner on a known network is admitted whatever others do elsewhere', async () => {
  fc.assert(
    fc.property(guesses, (guesses) => {
      const { throttle, pass } = throttleAt({ all: 20 })
      attempt(throttle, ['ada', 'home'], 'succeeded')
      return guesses.every(({ network, pause, ends }) => {
        pass(pause)
        const admission = throttle.begin({ account: 'ada', network: `net ${network}` })
        if (admission.admitted && ends === 'failed') throttle.end(admission.ticket, 'failed')
        return attempt(throttle, ['ada', 'home'], 'succeeded') === 'in'
      })
    }),
  )
})

t.test('a clock that is set back neither ends a delay nor makes it longer', async (t) => {
  const { throttle, pass } = throttleAt()
  const ada: [string, string] = ['ada', 'home']
  for (let i = 0; i < 7; i += 1) {
    while (attempt(throttle, ada) !== 'in') pass(1)
  }
  t.equal(attempt(throttle, ada), 4)
  pass(-3600)
  t.equal(attempt(throttle, ada), 4, 'what it was')
  pass(3)
  t.equal(attempt(throttle, ada), 1)
  pass(1)
  t.equal(attempt(throttle, ada), 'in', 'and not an hour later')
})
