import t, { type Test } from 'tap'
import { hashClientSecret, makeClientSecret, matchesSecret } from '../../../src/clients/client-secret.ts'
import { createClientStore } from '../../../src/clients/client-store.ts'
import { startApp, type TestServer } from '../../support/app.ts'
import { ENGINES } from '../../support/engines.ts'
import { clientToken, NOW, OPERATOR, operator, outcome, type Registered, register } from '../../support/oauth.ts'

const DAY = 86_400

async function twoNodes(t: Test, engine: (typeof ENGINES)[number]) {
  const clock = { now: NOW }
  const now = () => clock.now
  const DATABASE_URL = await engine.url(t)
  const nodes = [await startApp(t, { now, env: { DATABASE_URL } }), await startApp(t, { now, env: { DATABASE_URL } })]
  const [a, b] = nodes as [TestServer, TestServer]
  const client = await register(a)
  const good = async (secret: string) => outcome(await clientToken(b.app, { ...client, secret })) === 'good'
  const rotate = (node: TestServer, overlap: number) => operator(node, now).rotateSecret(client.id, overlap, OPERATOR)
  return { a, b, client, clock, good, rotate }
}

t.test('a secret is 256 random bits that scanners can find', async (t) => {
  const secrets = new Set(Array.from({ length: 100 }, makeClientSecret))
  t.equal(secrets.size, 100)
  for (const secret of secrets) t.match(secret, /^scs_[\w-]{43}$/)
})

t.test('a secret matches its own hash and no other', async (t) => {
  const [one, two, three] = [makeClientSecret(), makeClientSecret(), makeClientSecret()]
  const hashes = [hashClientSecret(one), hashClientSecret(two)]
  t.ok(matchesSecret(one, hashes))
  t.ok(matchesSecret(two, hashes))
  t.notOk(matchesSecret(three, hashes))
  t.notOk(matchesSecret(one, []))
  t.notOk(matchesSecret('', ['']))
  t.notOk(matchesSecret('no secret hashes to this', []), 'the decoy is nobody')
  t.notOk(matchesSecret(hashes[0] ?? '', hashes), 'the hash itself is no secret')
})

for (const engine of ENGINES) {
  t.test(`${engine.name}: during a rotation two secrets are good, and never three`, async (t) => {
    const { a, b, client, clock, good, rotate } = await twoNodes(t, engine)
    const { secret: first } = client
    const { secret: second, previousExpiresAt } = await rotate(b, DAY)
    t.equal(previousExpiresAt, NOW + DAY)
    t.same([await good(first), await good(second)], [true, true])
    clock.now += DAY - 1
    t.same([await good(first), await good(second)], [true, true])
    clock.now += 1
    t.same([await good(first), await good(second)], [false, true])
    const { secret: third } = await rotate(a, DAY)
    const { secret: fourth } = await rotate(a, DAY)
    t.same([await good(second), await good(third), await good(fourth)], [false, true, true], 'the oldest has ended')
    const { secret: fifth } = await rotate(a, 0)
    t.same([await good(third), await good(fourth), await good(fifth)], [false, false, true], 'no overlap')
    clock.now += 400 * DAY
    t.equal(await good(fifth), true, 'the last one has no end')
  })

  t.test(`${engine.name}: rotations at once come one after the other`, async (t) => {
    const { a, b, client, good, rotate } = await twoNodes(t, engine)
    const rotated = await Promise.all([a, b, a, b].map((node) => rotate(node, DAY)))
    const alive = await Promise.all([client.secret, ...rotated.map(({ secret }) => secret)].map(good))
    t.equal(alive.filter(Boolean).length, 2, 'the last two')
    t.equal(alive[0], false)
    const rows = await a.database.query('SELECT hash, expires_at FROM client_secrets ORDER BY expires_at IS NULL')
    t.same(
      rows.map(({ expires_at: end }) => end),
      [NOW + DAY, null],
    )
    const trail = await a.database.query("SELECT id FROM audit_events WHERE event = 'client_secret_rotated'")
    t.equal(trail.length, 4)
  })

  t.test(`${engine.name}: the store holds hashes, and sweeps what is over`, async (t) => {
    const { a, client, clock, rotate } = await twoNodes(t, engine)
    const { secret } = await rotate(a, DAY)
    const rows = JSON.stringify([
      await a.database.query('SELECT * FROM clients'),
      await a.database.query('SELECT * FROM client_secrets'),
      await a.database.query('SELECT * FROM audit_events'),
    ])
    for (const text of [client.secret, secret]) t.notOk(rows.includes(text) || rows.includes(text.slice(4)))
    t.ok(rows.includes(hashClientSecret(secret)))

    const clients = createClientStore(a.database)
    t.equal(await clients.useAssertion(client.id, 'x', NOW + 10), true)
    await clients.deleteExpired(NOW + 9)
    t.equal(await clients.useAssertion(client.id, 'x', NOW + 10), false)
    await clients.deleteExpired(NOW + 10)
    t.equal(await clients.useAssertion(client.id, 'x', NOW + 10), true)
    t.equal((await clients.forAuthentication(client.id, clock.now))?.secretHashes.length, 2)
    await clients.deleteExpired(NOW + DAY)
    t.equal((await a.database.query('SELECT hash FROM client_secrets')).length, 1)
  })
}

t.test('a client with keys can not get a secret', async (t) => {
  const server = await startApp(t, { now: () => NOW })
  const keys = await register(server, { jwks_uri: 'https://client.example/jwks.json' })
  const rotate = (client: Pick<Registered, 'id'>) => operator(server).rotateSecret(client.id, DAY, OPERATOR)
  await t.rejects(rotate(keys), { code: 'client_without_secret' })
  await t.rejects(rotate({ id: 'client_nobody' }), { code: 'not_found' })
  t.same(await server.database.query('SELECT * FROM client_secrets'), [])
})
