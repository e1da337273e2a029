import fc from 'fast-check'
import t from 'tap'
import { createFairShare } from '../../src/limits/fair-share.ts'

/** Takes as many places as the network gets. @returns how many */
function takeAll(share: ReturnType<typeof createFairShare>, network: string): number {
  let count = 0
  for (; share.refusal(network) === undefined; count += 1) share.take(network)
  return count
}

t.test('who comes first leaves room for the next, and the next for another one', async (t) => {
  const share = createFairShare(64)
  t.same(
    ['one', 'two', 'three', 'four'].map((network) => takeAll(share, network)),
    [32, 16, 8, 4],
  )
  t.equal(share.refusal('one'), 'share')
  t.equal(share.refusal('five'), undefined)
})

t.test('a place is for the first, none is for nobody, and work of no network takes what is free', async (t) => {
  t.equal(takeAll(createFairShare(1), 'one'), 1)
  t.equal(createFairShare(0).refusal('one'), 'full')
  const share = createFairShare(3)
  for (let i = 0; i < 3; i += 1) {
    t.equal(share.refusal(undefined), undefined)
    share.take(undefined)
  }
  t.equal(share.refusal(undefined), 'full')
  t.equal(share.refusal('one'), 'full')
  share.leave(undefined)
  t.equal(share.refusal('one'), undefined)
})

t.test(
  'whatever comes and goes, nobody has more than his share when he gets a place, and no place is lost',
  async () => {
    const step = fc.record({ network: fc.constantFrom('one', 'two', 'three'), comes: fc.boolean() })
    fc.assert(
      fc.property(fc.nat({ max: 20 }), fc.array(step, { maxLength: 100 }), (places, steps) => {
        const share = createFairShare(places)
        const held: Record<string, number> = { one: 0, two: 0, three: 0 }
        for (const { network, comes } of steps) {
          const mine = held[network] ?? 0
          if (comes && share.refusal(network) === undefined) {
            if (mine >= places - share.taken) return false
            share.take(network)
            held[network] = mine + 1
          } else if (!comes && mine > 0) {
            share.leave(network)
            held[network] = mine - 1
          }
          if (share.taken !== Object.values(held).reduce((sum, one) => sum + one, 0)) return false
          const newcomer = share.refusal('new')
          if ((newcomer === undefined) !== share.taken < places) return false
        }
        return true
      }),
    )
  },
)
