import { randomBytes } from 'node:crypto'
import t from 'tap'
import { auditRow } from '../../../src/audit/audit-store.ts'
import { migrate } from '../../../src/db/migrate.ts'
import { createEnqueue, createOutboxStore, stillClaimed } from '../../../src/messages/outbox-store.ts'
import { createOutboxUpkeep } from '../../../src/messages/outbox-upkeep-store.ts'
import { ENGINES, openNode } from '../../support/engines.ts'
import { NOBODY } from '../../support/people.ts'

const NOW = 1_800_000_000
const DAY = 86_400
const enqueue = createEnqueue({ refreshKeys: () => [{ id: 'key', signFrom: 0, secret: randomBytes(32) }] })

for (const engine of ENGINES)
  t.test(`${engine.name}: the outbox`, async (t) => {
    const url = await engine.url(t)
    const database = await openNode(t, url)
    await migrate(database, () => NOW)
    const nodes = [database, await openNode(t, url)]
    const [one, other] = nodes.map((node) => createOutboxStore(node)) as [
      ReturnType<typeof createOutboxStore>,
      ReturnType<typeof createOutboxStore>,
    ]
    const upkeep = createOutboxUpkeep(database)
    const cause = async (count: number, now = NOW) => {
      for (let i = 0; i < count; i += 1)
        await database.transaction(await enqueue({ kind: 'recovery', facts: { i: '1' } }, now))
    }
    const rows = () => database.query('SELECT * FROM outbox ORDER BY created_at')
    const states = async () => (await rows()).map(({ state }) => state)
    const empty = () => database.query('DELETE FROM outbox')
    const claim = (store = one, now = NOW, limit = 100) => store.claim({ now, until: now + 60, limit })

    await t.test('two senders that claim at once get each message once', async (t) => {
      await cause(40)
      const claims = await Promise.all([one, other, one, other, one, other].map((store) => claim(store, NOW, 30)))
      const ids = claims.flat().map(({ id }) => id)
      t.equal(new Set(ids).size, ids.length)
      for (;;) {
        const more = await claim(other)
        if (more.length === 0) break
        ids.push(...more.map(({ id }) => id))
      }
      t.equal(new Set(ids).size, 40)
      t.equal(ids.length, 40)
      await empty()
    })

    await t.test('a claim runs out, and then nothing more can be written with it', async (t) => {
      await cause(1)
      const [mine] = await claim()
      if (mine === undefined) return t.fail('nothing was claimed')
      t.same(await claim(other, NOW + 59), [])
      const [theirs] = await claim(other, NOW + 60)
      t.equal(theirs?.id, mine.id)
      const before = await rows()
      const audit = auditRow({ event: 'message_dead', source: NOBODY }, NOW, stillClaimed(mine))
      const minted = { sql: 'INSERT INTO unfinished_work (name) VALUES ($1)', params: ['minted'] }
      await one.finish(mine, 'sent', NOW)
      await one.postpone(mine, 'x', NOW)
      await one.bury(mine, 'x', NOW, audit)
      await t.rejects(one.compose(mine, 'sealed', [minted]))
      t.same(await rows(), before)
      t.same(await database.query("SELECT name FROM unfinished_work WHERE name = 'minted'"), [])
      t.same(await database.query('SELECT id FROM audit_events'), [])
      await other.compose(theirs as typeof mine, 'sealed', [minted])
      t.match(await rows(), [{ state: 'composed', sealed: 'sealed' }])
      await t.rejects(other.compose(theirs as typeof mine, 'again', [minted]), 'it is composed once')
      await empty()
    })

    await t.test('the longest due first, none before its time, none that is over', async (t) => {
      for (const at of [NOW, NOW - 2, NOW - 1, NOW + 1]) await cause(1, at)
      const claimed = await claim(one, NOW, 2)
      t.same(claimed.map(({ createdAt }) => createdAt).sort(), [NOW - 2, NOW - 1])
      const [first, second] = claimed
      if (first !== undefined) await one.finish(first, 'dropped', NOW)
      if (second !== undefined) await one.postpone(second, 'down', NOW + 30)
      t.same((await claim(one, NOW + 29)).map(({ createdAt }) => createdAt).sort(), [NOW, NOW + 1])
      const again = await claim(one, NOW + 30)
      t.match(again, [{ id: second?.id, attempts: 1, state: 'caused' }])
      await empty()
    })

    await t.test('counts, and what maintenance deletes: sent after a day, dead after thirty', async (t) => {
      t.same(await upkeep.counts(NOW), { waiting: 0, sent: 0, dropped: 0, dead: 0, oldestWaitingSeconds: 0 })
      await cause(5, NOW - 100)
      const [sent, dropped, dead] = await claim()
      if (sent === undefined || dropped === undefined || dead === undefined) return t.fail('nothing was claimed')
      await one.finish(sent, 'sent', NOW)
      await one.finish(dropped, 'dropped', NOW)
      await one.bury(dead, '550', NOW, auditRow({ event: 'message_dead', source: NOBODY }, NOW, stillClaimed(dead)))
      t.equal((await database.query('SELECT id FROM audit_events')).length, 1)
      t.same(await upkeep.counts(NOW), { waiting: 2, sent: 1, dropped: 1, dead: 1, oldestWaitingSeconds: 100 })
      await upkeep.deleteOver(NOW + DAY)
      t.same((await states()).sort(), ['caused', 'caused', 'dead', 'dropped', 'sent'])
      await upkeep.deleteOver(NOW + DAY + 1)
      t.same((await states()).sort(), ['caused', 'caused', 'dead'])
      await upkeep.deleteOver(NOW + 30 * DAY + 1)
      t.same((await states()).sort(), ['caused', 'caused'], 'what waits is never deleted')
      await empty()
    })

    await t.test('a message is written with its cause or not at all', async (t) => {
      const message = await enqueue({ kind: 'recovery' }, NOW)
      await t.rejects(database.transaction([...message, { sql: 'INSERT INTO nowhere VALUES (1)' }]))
      t.same(await states(), [])
      const onlyIf = { exists: 'SELECT 1 FROM accounts WHERE id = $1', params: ['nobody'] }
      await database.transaction(await enqueue({ kind: 'recovery' }, NOW, onlyIf))
      t.same(await states(), [])
      await database.transaction([...message, { sql: 'SELECT 1 AS one' }])
      t.same(await states(), ['caused'])
    })
  })
