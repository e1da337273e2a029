import fc from 'fast-check'
import t from 'tap'
import { SegmentedMap } from '../../src/revocations/segmented-map.ts'

const key = fc.nat({ max: 12 }).map(String)
const step = fc.oneof(
  fc.record({ put: key, value: fc.nat({ max: 9 }) }),
  fc.record({ set: key, value: fc.nat({ max: 9 }) }),
  fc.record({ deleteBelow: fc.nat({ max: 9 }) }),
)

t.test('it is a Map in which a put entry stands last, whatever the size of its segments', async (t) => {
  const steps = fc.array(step, { maxLength: 60 })
  await t.resolves(
    Promise.resolve().then(() =>
      fc.assert(
        fc.property(steps, fc.integer({ min: 1, max: 5 }), (all, segmentEntries) => {
          const map = new SegmentedMap<number>(segmentEntries)
          const model = new Map<string, number>()
          for (const one of all) {
            if ('put' in one) {
              map.putLast(one.put, one.value)
              model.delete(one.put)
              model.set(one.put, one.value)
            } else if ('set' in one) {
              map.set(one.set, one.value)
              model.set(one.set, one.value)
            } else {
              for (const _ of map.deleting((value) => value < one.deleteBelow));
              for (const [name, value] of model) if (value < one.deleteBelow) model.delete(name)
            }
            if (map.size !== model.size) throw new Error('another size')
          }
          if (JSON.stringify([...map]) !== JSON.stringify([...model])) throw new Error('other entries')
          for (let n = 0; n <= 12; n += 1)
            if (map.get(String(n)) !== model.get(String(n)) || map.has(String(n)) !== model.has(String(n)))
              throw new Error(`another ${n}`)
        }),
        { numRuns: 500 },
      ),
    ),
  )
})

t.test('what moves while it is read comes later, and nothing is missed', async (t) => {
  await t.resolves(
    Promise.resolve().then(() =>
      fc.assert(
        fc.property(
          fc.array(fc.tuple(key, fc.boolean()), { maxLength: 20 }),
          fc.integer({ min: 1, max: 4 }),
          (moves, n) => {
            const map = new SegmentedMap<number>(n)
            for (let i = 0; i <= 12; i += 1) map.putLast(String(i), 1)
            const seen = new Set<string>()
            const rest = [...moves]
            for (const [name] of map) {
              seen.add(name)
              const [moved, sweeps] = rest.shift() ?? []
              if (moved !== undefined) map.putLast(moved, 2)
              if (sweeps) for (const _ of map.deleting(() => false));
            }
            if (seen.size !== 13) throw new Error(`missed some: ${[...seen]}`)
          },
        ),
        { numRuns: 500 },
      ),
    ),
  )
})
