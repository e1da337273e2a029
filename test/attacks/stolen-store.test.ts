import t from 'tap'
import { PASSWORD, startApp } from '../support/app.ts'
import { refreshed, signUp } from '../support/front-door.ts'
import { register, tokenOf } from '../support/oauth.ts'

t.test('an attacker who reads every row of the database gets no credential that is accepted', async (t) => {
  const server = await startApp(t, { env: { PASSWORD_HASH_MEMORY: '19456' } })
  const { app, database } = server
  const user = await signUp(app)
  const next = await refreshed(app, user)
  const client = await register(server)
  const secrets = [PASSWORD, client.secret, await tokenOf(app, client)]
  for (const tokens of [user, next]) secrets.push(tokens.access_token, tokens.refresh_token)
  const hmacs = secrets.filter((text) => text.startsWith('srt_')).map((text) => text.slice(-43))
  const keys = server.keyring.refreshKeys().map(({ secret }) => Buffer.from(secret as Buffer).toString('base64url'))

  const tables = await database.query("SELECT name FROM sqlite_master WHERE type = 'table'")
  const rows = await Promise.all(tables.map(({ name }) => database.query(`SELECT * FROM "${name}"`)))
  const everything = JSON.stringify(rows)
  t.ok(everything.includes(user.email) && everything.includes(client.id), 'the rows were read')
  for (const secret of [...secrets, ...hmacs, ...keys]) t.notOk(everything.includes(secret), secret.slice(0, 8))
  t.match(everything, /\$argon2id\$v=19\$m=19456,p=1,t=2\$/)
})
