import t from 'tap'
import type { TrailEvent, TrailFilter } from '../../../src/administration/audit-trail.ts'
import { createAuditTrailStore } from '../../../src/administration/audit-trail-store.ts'
import { migrate } from '../../../src/db/migrate.ts'
import { ENGINES, openNode } from '../../support/engines.ts'

// Both engines find the same events, whatever order they give to text.

const NOW = 1_800_000_000
const LETTERS = [...'aAbB-_09']
const IDS = LETTERS.flatMap((a) => LETTERS.flatMap((b) => LETTERS.map((c) => a + b + c)))

for (const engine of ENGINES) {
  t.test(`${engine.name}: a walk through the trail meets every event once, with and without a filter`, async (t) => {
    const database = await openNode(t, await engine.url(t))
    await migrate(database, () => NOW)
    await database.transaction(
      IDS.map((id, index) => ({
        sql: `INSERT INTO audit_events (id, at, event, account_id, ip, detail) VALUES ($1, $2, $3, $4, $5, $6)`,
        params: [
          id,
          NOW + (index % 2),
          index % 3 === 0 ? 'a' : 'b',
          `acc_${index % 5}`,
          '192.0.2.1',
          JSON.stringify({ client_id: index % 7 === 0 ? 'client_x%' : 'clientAx' }),
        ],
      })),
    )
    const { page } = createAuditTrailStore(database)
    const walk = async (filter: TrailFilter) => {
      const met: TrailEvent[] = []
      for (;;) {
        const { events } = await page(filter, { after: met.at(-1), limit: 7 })
        if (events.length === 0 || met.length > IDS.length) return met.map(({ id }) => id).sort()
        met.push(...events)
      }
    }
    const CASES: [filter: TrailFilter, fits: (index: number) => boolean][] = [
      [{}, () => true],
      [{ event: 'a' }, (index) => index % 3 === 0],
      [{ accountId: 'acc_2', event: 'a' }, (index) => index % 5 === 2 && index % 3 === 0],
      [{ clientId: 'client_x%' }, (index) => index % 7 === 0],
      [{ clientId: 'client_x' }, () => false],
      [{ from: NOW + 1 }, (index) => index % 2 === 1],
      [{ to: NOW + 1, ip: '192.0.2.1' }, (index) => index % 2 === 0],
    ]
    for (const [filter, fits] of CASES)
      t.same(await walk(filter), IDS.filter((_, index) => fits(index)).sort(), JSON.stringify(filter))
  })

  t.test(`${engine.name}: a filter without an index stops at a place from which the next page goes on`, async (t) => {
    const database = await openNode(t, await engine.url(t))
    await migrate(database, () => NOW)
    await database.query(
      `INSERT INTO audit_events (id, at, event, detail)
       WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 11000)
       SELECT CAST(100000 + i AS TEXT), ${NOW} + i / 100, CASE WHEN i IN (0, 5000, 11000) THEN 'a' ELSE 'b' END, '{}' FROM n`,
    )
    const { page } = createAuditTrailStore(database)
    const found: string[][] = []
    for (let after: TrailEvent | { createdAt: number; id: string } | undefined; ; ) {
      const { events, lookedTo } = await page({ event: 'a' }, { after, limit: 50 })
      found.push(events.map(({ id }) => id))
      if (lookedTo === undefined) break
      after = lookedTo
    }
    t.same(found, [['100000'], ['105000'], ['111000']])
  })
}
