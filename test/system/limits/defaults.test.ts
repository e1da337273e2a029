import t from 'tap'
import { ON } from '../../support/limited-server.ts'
import { startServer } from '../../support/service.ts'

t.test('the defaults are on in a real server', async (t) => {
  const server = await startServer(t, { ...ON })
  const statuses = []
  for (let i = 0; i < 70; i += 1) {
    const reply = await fetch(`${server.url}/v1/login`, { method: 'POST' })
    statuses.push(reply.status)
  }
  t.equal(statuses.indexOf(429) >= 60, true, 'about sixty a minute')
  t.equal(statuses.at(-1), 429)
})
