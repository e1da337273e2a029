import t from 'tap'
import { FAULTS } from '../../../scripts/lab/client/browsers/faults.ts'
import { tryBrowser } from '../../../scripts/lab/client/browsers/run.ts'
import { simulate } from '../../../scripts/lab/client/simulated/run.ts'

// The short form of `npm run client-lab`, which tries every fault in every state of the session, in more tabs and in
// two browsers; test/client has all of them against a server in the process. In a real browser where there is one, else
// in Node alone; the name of the test says which.

const NAMES = [
  'answer lost after it acted',
  "a captive portal's 200 with HTML",
  'clock 2 h ahead',
  'session ended elsewhere',
]
const faults = FAULTS.filter(({ name }) => NAMES.includes(name))
const PROMISE = 'nobody is logged out by accident, and one refresh does for all tabs'

const tried = await tryBrowser('chromium', { tabs: 3, faults, states: ['expired'] })

if ('leftOut' in tried) {
  t.test(`${PROMISE}: in Node alone (${tried.leftOut})`, async (t) => {
    const { faults, refreshes } = await simulate({ refreshes: 300, devices: 30, seed: 15 })
    t.ok(refreshes >= 300)
    t.same(faults, [])
  })
} else {
  t.test(`${PROMISE}: in ${tried.version}`, async (t) => {
    t.same(
      tried.rows.map(({ fault }) => fault),
      NAMES,
    )
    for (const { fault, outcomes } of tried.rows)
      for (const { faults, arrived } of outcomes) {
        t.same(faults, [], fault)
        t.equal(arrived, fault === 'session ended elsewhere' ? 0 : 1, `${fault}: refreshes that arrived`)
      }
  })
}
