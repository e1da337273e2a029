import t from 'tap'
import type { AuditEntry } from '../../src/audit/audit.ts'
import { auditRow } from '../../src/audit/audit-store.ts'
import { auditedDatabase } from '../../src/audit/audited-database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openSqlite } from '../../src/db/sqlite.ts'

const NOW = 1_800_000_000
const SOURCE = { ip: null, userAgent: null, requestId: null }
const entry: AuditEntry = { event: 'logout', source: SOURCE, accountId: 'acc_1' }

t.test('an audit row that was committed is a log line, and no other', async (t) => {
  const sqlite = await openSqlite(':memory:')
  t.teardown(() => sqlite.close())
  await migrate(sqlite, () => NOW)
  const logged: AuditEntry[] = []
  const database = auditedDatabase(sqlite, (entry) => logged.push(entry))
  const rows = async () => (await database.query('SELECT id FROM audit_events')).length

  await database.transaction([{ sql: 'SELECT 1 AS one' }, auditRow(entry, NOW)])
  t.same([await rows(), logged], [1, [entry]], 'a row and its line')

  const never = { exists: 'SELECT 1 FROM accounts WHERE id = $1', params: ['nobody'] }
  await database.transaction([auditRow(entry, NOW, never)])
  t.same([await rows(), logged.length], [1, 1], 'neither, when its condition does not hold')

  await t.rejects(database.transaction([auditRow(entry, NOW), { sql: 'SELECT * FROM nowhere' }]))
  t.same([await rows(), logged.length], [1, 1], 'neither, when the transaction is rolled back')
})
