import t, { type Test } from 'tap'
import type { Client } from '../../../src/clients/client.ts'
import { type ClientStore, createClientStore } from '../../../src/clients/client-store.ts'
import { createTokenStore } from '../../../src/oauth/token-store.ts'
import { createRevocationStore } from '../../../src/revocations/revocation-store.ts'
import { startApp, type TestServer } from '../../support/app.ts'
import { ENGINES, type Engine } from '../../support/engines.ts'
import { clientToken, introspected, NOW, OPERATOR, operator, register } from '../../support/oauth.ts'

const now = () => NOW
const { source } = OPERATOR
const entry = (event: 'client_created' | 'client_disabled' | 'client_enabled' | 'client_deleted') => ({ event, source })

const CLIENT: Client = {
  id: 'client_a',
  name: 'Ä name',
  scope: 'a b',
  audience: ['x', 'y'],
  ttl: 60,
  authMethod: 'private_key_jwt',
  jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }] },
  jwksUri: null,
  status: 'active',
  tokenVersion: 1,
  createdAt: NOW,
}

async function nodes(t: Test, engine: Engine): Promise<[TestServer, TestServer]> {
  const DATABASE_URL = await engine.url(t)
  return [await startApp(t, { now, env: { DATABASE_URL } }), await startApp(t, { now, env: { DATABASE_URL } })]
}

for (const engine of ENGINES) {
  t.test(`${engine.name}: a client comes back as it was, and pages hold each once`, async (t) => {
    const [{ database }] = await nodes(t, engine)
    const clients = createClientStore(database)
    const other: Client = {
      ...CLIENT,
      id: 'client_b',
      audience: [],
      ttl: null,
      authMethod: 'client_secret_post',
      jwks: null,
      jwksUri: 'https://x.example',
    }
    await clients.insert(CLIENT, undefined, entry('client_created'))
    await clients.insert(other, 'hash', entry('client_created'))
    t.same([await clients.byId('client_a'), await clients.byId('client_b')], [CLIENT, other])
    t.equal(await clients.byId('client_c'), undefined)
    t.same(await clients.list({ limit: 1 }), [CLIENT])
    t.same(await clients.list({ after: CLIENT, limit: 9 }), [other])
    t.same(await clients.forAuthentication('client_a', NOW), { client: CLIENT, secretHashes: [] })
    t.same(await clients.forAuthentication('client_b', NOW), { client: other, secretHashes: ['hash'] })
    t.equal(await clients.forAuthentication('client_c', NOW), undefined)
    await t.rejects(clients.insert(CLIENT, undefined, entry('client_created')), 'an id twice')
    t.equal((await database.query('SELECT id FROM audit_events')).length, 2, 'all or nothing')
  })

  t.test(`${engine.name}: what changes a client withdraws its tokens in the same transaction`, async (t) => {
    const [a, b] = await nodes(t, engine)
    const clients = createClientStore(a.database)
    const revocations = createRevocationStore(b.database)
    const events = async () =>
      (await a.database.query("SELECT event FROM audit_events WHERE event LIKE 'client_%' ORDER BY event")).map(
        ({ event }) => event,
      )
    const { id } = await register(a)
    const minVersions = async () =>
      (await revocations.look({ after: 0, limit: 100 })).revocations.map(({ minVersion }) => minVersion)
    const set = (status: Client['status']) => clients.setStatus(id, status, NOW, entry('client_disabled'))
    t.equal(await set('active'), 'unchanged')
    t.same([await minVersions(), await events()], [[], ['client_created']])
    t.equal(await set('disabled'), 'done')
    t.same(await minVersions(), [2])
    t.equal(await set('active'), 'done')
    t.same(await minVersions(), [3])
    t.match(await clients.byId(id), { status: 'active', tokenVersion: 3 })
    t.equal(await clients.setStatus('client_x', 'disabled', NOW, entry('client_disabled')), 'missing')
    t.equal(await clients.remove('client_x', NOW, entry('client_deleted')), false)
    t.equal((await revocations.look({ after: 0, limit: 100 })).revocations.length, 1)
    t.equal(await clients.remove(id, NOW, entry('client_deleted')), true)
    t.equal(await clients.remove(id, NOW, entry('client_deleted')), false)
    t.same(await minVersions(), [null])
    t.same(await events(), ['client_created', 'client_deleted', 'client_disabled', 'client_disabled'])
    t.same(await a.database.query('SELECT * FROM client_secrets'), [])

    const tokens = createTokenStore(a.database)
    const audit = { event: 'token_revoked', source } as const
    const token = { jti: 'jti', exp: NOW }
    await Promise.all([tokens.revoke(token, NOW, audit), createTokenStore(b.database).revoke(token, NOW, audit)])
    t.match((await revocations.look({ after: 0, limit: 100 })).revocations.at(-1), {
      kind: 'token',
      subject: 'jti',
      minVersion: null,
    })
  })

  t.test(`${engine.name}: two nodes at once revoke no more tokens of a session than are allowed`, async (t) => {
    const [a, b] = await nodes(t, engine)
    const audit = { event: 'token_revoked', source, accountId: 'acc_a', sessionId: 'one' } as const
    const stores = [createTokenStore(a.database), createTokenStore(b.database)]
    const revoked = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        stores[i % 2]?.revoke({ jti: `jti-${i}`, exp: NOW }, NOW, audit, { most: 5, since: NOW - 60 }),
      ),
    )
    t.equal(revoked.filter((done) => done === true).length, 5)
    const rows = async (table: string) => (await a.database.query(`SELECT * FROM ${table}`)).length
    t.same([await rows('revocations'), await rows('audit_events')], [5, 5])
    const another = { ...audit, sessionId: 'two' }
    t.equal(
      await stores[0]?.revoke({ jti: 'other', exp: NOW }, NOW, another, { most: 5, since: NOW - 60 }),
      true,
      'of another session',
    )
    t.equal(
      await stores[1]?.revoke({ jti: 'later', exp: NOW }, NOW + 60, audit, { most: 5, since: NOW }),
      true,
      'when those are old',
    )
    t.equal(await stores[1]?.revoke({ jti: 'any', exp: NOW }, NOW, audit), true, 'without a bound')
  })

  t.test(`${engine.name}: a token that is revoked many times counts once`, async (t) => {
    const [a, b] = await nodes(t, engine)
    const audit = { event: 'token_revoked', source, accountId: 'acc_a', sessionId: 'one' } as const
    const stores = [createTokenStore(a.database), createTokenStore(b.database)]
    const among = { most: 3, since: NOW - 60 }
    const revoke = (jti: string, times: number) =>
      Promise.all(Array.from({ length: times }, (_, i) => stores[i % 2]?.revoke({ jti, exp: NOW }, NOW, audit, among)))
    const rows = async (table: string) => (await a.database.query(`SELECT * FROM ${table}`)).length
    t.same(await revoke('one', 8), Array(8).fill(true), 'at once')
    t.same(await revoke('one', 1), [true], 'and later')
    t.same([await rows('revocations'), await rows('audit_events')], [1, 1])
    t.same([...(await revoke('two', 2)), ...(await revoke('three', 2))], Array(4).fill(true))
    t.same(await revoke('four', 2), [false, false])
    t.same(await revoke('two', 2), [true, true], 'one of those that are revoked')
    t.same([await rows('revocations'), await rows('audit_events')], [3, 3])
    const service = { event: 'token_revoked', source } as const
    for (let times = 0; times < 2; times += 1) await stores[0]?.revoke({ jti: 'service', exp: NOW }, NOW, service)
    t.same([await rows('revocations'), await rows('audit_events')], [4, 4])
  })

  t.test(`${engine.name}: changes at once by two nodes leave one truth`, async (t) => {
    const [a, b] = await nodes(t, engine)
    const stores: ClientStore[] = [createClientStore(a.database), createClientStore(b.database)]
    for (let round = 0; round < 8; round += 1) {
      const { id } = await register(a)
      const outcomes = await Promise.all(
        [...stores, ...stores].map((store) => store.setStatus(id, 'disabled', NOW, entry('client_disabled'))),
      )
      t.same(outcomes.toSorted(), ['done', 'unchanged', 'unchanged', 'unchanged'])
      const removed = await Promise.all([
        ...stores.map((store) => store.remove(id, NOW, entry('client_deleted'))),
        ...stores.map((store) => store.setStatus(id, 'active', NOW, entry('client_enabled'))),
      ])
      t.equal(removed.filter((outcome) => outcome === true).length, 1)
      const [last] = await a.database.query(
        "SELECT min_version FROM revocations WHERE kind = 'client' AND subject = $1",
        [id],
      )
      t.same(last, { min_version: null }, 'the end has the last word')
    }
  })

  t.test(`${engine.name}: a token that was asked for while the client was disabled is refused`, async (t) => {
    const [a, b] = await nodes(t, engine)
    const asker = await register(a)
    let refused = 0
    for (let round = 0; round < 5; round += 1) {
      const client = await register(a)
      const asked = Array.from({ length: 6 }, (_, index) => clientToken([a, b][index % 2]?.app ?? a.app, client))
      const [, ...replies] = await Promise.all([operator(b).setStatus(client.id, 'disabled', OPERATOR), ...asked])
      for (const reply of replies) {
        if (reply.statusCode === 401) refused += 1
        else t.same(await introspected(a.app, asker, reply.json().access_token), { active: false })
      }
      await operator(a).setStatus(client.id, 'active', OPERATOR)
      for (const reply of replies.filter(({ statusCode }) => statusCode === 200))
        t.same(await introspected(b.app, asker, reply.json().access_token), { active: false }, 'also afterwards')
    }
    t.comment(`${refused} of 30 were refused outright`)
  })
}
