import pg from 'pg'
import t from 'tap'
import { migrate } from '../../../src/db/migrate.ts'
import { endEverybody } from '../../../src/revocations/everybody-store.ts'
import { openNode } from '../../support/engines.ts'
import { NOW } from '../../support/oauth.ts'
import { NOBODY } from '../../support/people.ts'
import { postgresUrl } from '../../support/postgres.ts'

t.test('everybody out does not hold up logins behind somebody who holds a table for long', async (t) => {
  const url = await postgresUrl(t)
  const database = await openNode(t, url)
  await migrate(database, () => NOW)
  const vacuum = new pg.Client({ connectionString: url })
  await vacuum.connect()
  t.teardown(() => vacuum.end())
  await vacuum.query('BEGIN; LOCK TABLE sessions IN SHARE UPDATE EXCLUSIVE MODE')
  const entry = { event: 'all_sessions_ended', source: NOBODY } as const
  await t.rejects(endEverybody(database, NOW, entry, 50), { name: 'OperatorError', hint: /^run it again/ })
  const floor = "SELECT COUNT(*) AS n FROM revocations WHERE kind = 'client' AND subject = 'signet'"
  t.equal(Number((await database.query(floor))[0]?.n), 1, 'the tokens are refused all the same')
  await vacuum.query('ROLLBACK')
  await endEverybody(database, NOW, entry, 50)
})
