import { join } from 'node:path'
import t from 'tap'
import { migrate } from '../../../src/db/migrate.ts'
import { openNode } from '../../support/engines.ts'
import { runScript } from '../../support/scripts.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

// npm run messages: what waits and what is dead.

const NOW = Math.floor(Date.now() / 1000)
const DATABASE_URL = `sqlite:${join(await temporaryFolder(t), 'signet.db')}`
const messages = (args: string) => runScript('scripts/messages.ts', args.split(' '), { DATABASE_URL })

t.test('list says that there is nothing', async (t) => {
  t.match(await messages('list'), { code: 0, stdout: 'no message waits, and none is dead\n' })
})

t.test('list shows what waits and what is dead; retry makes due what waits, and nothing else', async (t) => {
  const database = await openNode(t, DATABASE_URL)
  await migrate(database, () => NOW)
  const rows = [
    ['waits', 'composed', NOW - 3, NOW + 3600, 0, 'SMTP: 451'],
    ['in-hand', 'caused', NOW - 2, NOW - 2, NOW + 60, null],
    ['dead', 'dead', NOW - 1, NOW, 0, 'SMTP: 550'],
    ['sent', 'sent', NOW, NOW, 0, null],
  ]
  for (const row of rows)
    await database.query(
      `INSERT INTO outbox (id, kind, state, created_at, next_attempt_at, claimed_until, last_error, attempts, sealed)
       VALUES ($1, 'recovery', $2, $3, $4, $5, $6, 1, 'sealed text')`,
      row as (string | number | null)[],
    )
  const { code, stdout } = await messages('list --json')
  t.equal(code, 0)
  t.match(JSON.parse(stdout), [
    { id: 'waits', kind: 'recovery', state: 'waiting', attempts: 1, account_id: null, last_error: 'SMTP: 451' },
    { id: 'in-hand', state: 'waiting', last_error: null },
    { id: 'dead', state: 'dead', next_attempt_at: null, last_error: 'SMTP: 550' },
  ])
  t.notMatch(stdout, /sealed/)
  t.match((await messages('list')).stdout, /^ID +KIND +STATE.*\nwaits +recovery +waiting .* SMTP: 451\n/)

  t.match(await messages('retry'), { code: 0, stdout: /due now: 1/ })
  const due = await database.query('SELECT id FROM outbox WHERE next_attempt_at BETWEEN $1 AND $2', [NOW, NOW + 600])
  t.same(due.map(({ id }) => id).sort(), ['dead', 'sent', 'waits'])
})
