import fc from 'fast-check'
import t from 'tap'
import { TARGETS } from '../../scripts/lab/fuzz/targets.ts'

// A little of `npm run fuzz` on every run of the suite, with another seed each time; a failure names the one
// to repeat.

const CASES: Readonly<Record<string, number>> = {
  guard: 300,
  refresh: 300,
  keyring: 40,
  bodies: 120,
  oauth: 120,
  feed: 100,
}

t.test('every target has its share', async (t) => {
  t.same(TARGETS.map(({ name }) => name).sort(), Object.keys(CASES).sort())
})

for (const { name, prepare } of TARGETS) {
  t.test(`${name}: whatever is sent, it is refused in the promised form, and the good go on`, async (t) => {
    const { property, wellbeing } = await prepare(t)
    await wellbeing()
    const details = await fc.check(property as fc.IAsyncProperty<unknown>, {
      numRuns: CASES[name] ?? 0,
      timeout: 30_000,
    })
    t.comment(`seed ${details.seed}`)
    if (details.failed) t.fail(`${(details.errorInstance as Error)?.message}\n${fc.defaultReportMessage(details)}`)
    await wellbeing()
    t.equal(details.numRuns, CASES[name])
  })
}
