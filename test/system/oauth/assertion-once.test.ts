import t from 'tap'
import { startApp, type TestServer } from '../../support/app.ts'
import { assertion, clientKey } from '../../support/assertion.ts'
import { ENGINES } from '../../support/engines.ts'
import { NOW, outcome, send } from '../../support/oauth.ts'
import { registeredWith, verdict } from '../../support/private-key-client.ts'

const now = () => NOW
const rsa = clientKey('RS256')

t.test('an assertion is good once, also when it is used twice at once', async (t) => {
  for (const engine of ENGINES)
    await t.test(engine.name, async (t) => {
      const DATABASE_URL = await engine.url(t)
      const nodes = [
        await startApp(t, { now, env: { DATABASE_URL } }),
        await startApp(t, { now, env: { DATABASE_URL } }),
      ]
      const [first, second] = nodes as [TestServer, TestServer]
      const id = await registeredWith(first, rsa)
      const proof = await assertion(rsa, id, { claims: { jti: 'one' } })
      const uses = [first, second, first, second, first].map(({ app }) => send(app, 'token', proof))
      const outcomes = (await Promise.all(uses)).map(outcome).sort()
      t.same(outcomes, ['good', ...Array(4).fill('invalid_client')])
      t.match(
        await verdict(second, await assertion(rsa, id, { claims: { jti: 'one' } })),
        /used before/,
        'its jti is used up',
      )
      t.equal(
        await verdict(first, await assertion(rsa, await registeredWith(first, rsa), { claims: { jti: 'one' } })),
        'good',
      )
      const forged = await assertion(clientKey('RS256', rsa.kid), id, { claims: { jti: 'two' } })
      t.match(await verdict(first, forged), /signature/)
      t.equal(
        await verdict(first, await assertion(rsa, id, { claims: { jti: 'two' } })),
        'good',
        'nobody else uses it up',
      )
      t.notMatch(JSON.stringify(await first.database.query('SELECT * FROM client_assertions')), '"one"')
    })
})
