import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { runScript } from '../../support/scripts.ts'
import { startServer } from '../../support/service.ts'

t.test('a change of keys leaves one row and one line, of this server', async (t) => {
  const server = await startServer(t)
  const { code } = await runScript('scripts/keys.ts', ['rotate'], server.env)
  t.equal(code, 0)
  const database = new DatabaseSync(String(server.env.DATABASE_URL).slice('sqlite:'.length), { readOnly: true })
  t.teardown(() => database.close())
  const rows = () => database.prepare("SELECT * FROM audit_events WHERE event = 'keys_changed'").all()
  while (rows().length === 0) await pause(20)
  const lines = server
    .output()
    .split('\n')
    .filter((line) => line.includes('"event":"keys_changed"'))
  t.equal(lines.length, 1)
  const { keys } = JSON.parse(lines[0] ?? '')
  t.match(keys, [/^[\w-]{43} current$/, /^[\w-]{43} next$/, /^[\w-]{43} standby$/])
  t.match(rows(), [{ actor_id: null, ip: null, user_agent: null, detail: JSON.stringify({ keys }) }])
})
