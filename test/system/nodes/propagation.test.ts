import { Client } from 'pg'
import t from 'tap'
import { postgresUrl } from '../../support/postgres.ts'
import { sharedSettings, twoNodes } from './cluster.ts'
import { measureRevocations } from './measure.ts'

// What is revoked on one node is refused on the other, about a second later at the most.

const EACH = 2

t.test('two servers on one SQLite file', async (t) => {
  await measureRevocations(t, await twoNodes(t, await sharedSettings(t)), EACH, 1)
})

t.test('two servers on PostgreSQL', async (t) => {
  const url = await postgresUrl(t)
  const client = new Client({ connectionString: url, ssl: false })
  let notifications = 0
  client.on('notification', () => {
    notifications += 1
  })
  await client.connect()
  await client.query('LISTEN signet_revocations')
  await measureRevocations(t, await twoNodes(t, await sharedSettings(t, { DATABASE_URL: url })), EACH, 1)
  t.ok(notifications >= 3 * EACH, `${notifications} notifications were sent`)
  await client.end()
})
