import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { PASSWORD } from '../../support/app.ts'
import { post, startServer } from '../../support/service.ts'

t.test('kill -9 in the middle of a load loses no acknowledged registration', async (t) => {
  const server = await startServer(t, { PASSWORD_QUEUE: '1000' })
  const acknowledged: string[] = []
  let killed = false

  const client = async (name: string) => {
    for (let i = 0; !killed; i += 1) {
      const email = `${name}-${i}@example.com`
      const reply = await post(`${server.url}/v1/accounts`, { email, password: PASSWORD }).catch(() => undefined)
      if (reply?.status === 201) acknowledged.push(email)
      if (acknowledged.length >= 60 && !killed) {
        killed = true
        server.child.kill('SIGKILL')
      }
    }
  }
  await Promise.all(Array.from({ length: 8 }, (_, n) => client(`client${n}`)))
  t.match(await server.finished, { signal: 'SIGKILL' })

  const path = String(server.env.DATABASE_URL).slice('sqlite:'.length)
  const db = new DatabaseSync(path)
  const stored = new Set(
    db
      .prepare('SELECT email FROM accounts')
      .all()
      .map(({ email }) => email),
  )
  db.close()
  t.ok(acknowledged.length >= 60)
  t.same(
    acknowledged.filter((email) => !stored.has(email)),
    [],
  )

  const again = await startServer(t, server.env)
  t.equal((await post(`${again.url}/v1/login`, { email: acknowledged.at(-1), password: PASSWORD })).status, 200)
})
