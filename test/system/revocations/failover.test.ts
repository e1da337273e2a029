import t, { type Test } from 'tap'
import type { App } from '../../../src/http/app-type.ts'
import { randomId } from '../../../src/ids.ts'
import { createTokenStore } from '../../../src/oauth/token-store.ts'
import { createVerifier } from '../../../src/verifier/index.ts'
import { anotherNode } from '../../support/another-node.ts'
import { startApp } from '../../support/app.ts'
import { openNode } from '../../support/engines.ts'
import { logIn, refreshed, refreshVerdict, signUp, signUpAdmin, verdict } from '../../support/front-door.ts'
import { introspected, register } from '../../support/oauth.ts'
import { NOBODY } from '../../support/people.ts'
import { type Failover, postgresFailover, sqliteFailover, until } from './failovers.ts'
import { type Subject, subjects, type World, withdrawAll } from './withdrawals.ts'

// A store that goes back under running servers. On PostgreSQL a failover to a standby that missed the last
// transactions; on SQLite the rows of before are put in the place of those of now.

// This one function is long: it is one story, and each step needs what came before.
async function failsOver(t: Test, makeFailover: (t: Test) => Promise<Failover>): Promise<void> {
  const failover = await makeFailover(t)
  const server = await startApp(t, { env: { DATABASE_URL: failover.url } })
  const { app: a, database, log } = server
  const { app: b, link, log: logOfB } = await anotherNode(t, { ...server, database: await openNode(t, failover.url) })
  const world: World = { ...server, admin: await signUpAdmin(server), client: await register(server) }
  const [lostToBoth, lostToOne, later] = [await subjects(world), await subjects(world), await subjects(world)]
  const [quiet, rotated, mine] = [await signUp(a), await signUp(a), await signUp(a)]
  const verifier = createVerifier({
    issuer: server.config.ISSUER,
    audience: server.config.AUDIENCE,
    revocations: true,
    fetch: async (url, init) => {
      const { pathname, search } = new URL(String(url))
      const headers = Object.fromEntries(new Headers(init?.headers))
      const reply = await b.inject({ url: pathname + search, headers })
      const body = reply.statusCode === 304 ? null : reply.body
      return new Response(body, { status: reply.statusCode, headers: reply.headers as Record<string, string> })
    },
  })
  t.teardown(() => verifier.close())
  await verifier.hydrate()
  const refusedBy = async (app: App, { token, session }: Subject) =>
    session === undefined
      ? (await introspected(app, world.client, token)).active === false
      : (await verdict(app, { access_token: token })) !== 'good'
  const refusedElsewhere = (token: string) =>
    verifier.verify(token).then(
      () => false,
      () => true,
    )

  await failover.fallBehind()
  await withdrawAll([a, b], lostToBoth)
  const ahead = await refreshed(a, rotated)
  for (const one of lostToBoth) await until(async () => (await refusedBy(a, one)) && refusedBy(b, one))
  for (const { token } of lostToBoth) await until(() => refusedElsewhere(token))
  link.cut = true
  await withdrawAll([a], lostToOne)

  await failover.goBack(async (database) => {
    const tokens = createTokenStore(database)
    const exp = Math.floor(Date.now() / 1000) + 600
    for (let taken = 0; taken < 40; taken += 1)
      await tokens.revoke({ jti: randomId(), exp }, exp - 600, { event: 'token_revoked', source: NOBODY })
  })
  link.cut = false
  const isBack = async (app: App) => (await app.inject('/health/ready')).json().checks?.store === 'ok'
  await until(async () => (await isBack(a)) && isBack(b))

  await t.test(
    'what was refused goes on being refused by who knew it, and by the others when it is back',
    async (t) => {
      for (const one of [...lostToBoth, ...lostToOne])
        t.ok(await refusedBy(a, one), `${one.name}, at the one that knew`)
      for (const one of lostToBoth) t.ok(await refusedBy(b, one), `${one.name}, at both that knew`)
      for (const { name, token } of lostToBoth) t.ok(await refusedElsewhere(token), `${name}, elsewhere`)
      for (const one of lostToOne) await until(() => refusedBy(b, one))
      for (const { token } of lostToOne) await until(() => refusedElsewhere(token))
    },
  )

  await t.test('what is done from now on is refused everywhere', async (t) => {
    await withdrawAll([a, b], later)
    for (const one of later) {
      await until(async () => (await refusedBy(a, one)) && (await refusedBy(b, one)) && refusedElsewhere(one.token))
      t.pass(one.name)
    }
  })

  await t.test('refresh tokens from before go on, also one whose last rotation was lost', async (t) => {
    t.equal(await refreshVerdict(b, quiet), 'good')
    const next = await refreshed(b, ahead)
    t.equal(await verdict(a, next), 'good')
    t.equal(await refreshVerdict(a, next), 'good')
    const rows = await database.query("SELECT session_id FROM audit_events WHERE event = 'refresh_token_ahead'")
    t.equal(rows.length, 1)
  })

  await t.test('sessions that were ended are ended again, and everybody can log in as before', async (t) => {
    for (const { name, session } of [...lostToBoth, ...lostToOne]) {
      if (session === undefined || name === 'roleChange') continue
      await until(async () => (await refreshVerdict(b, session)) === 'invalid_refresh_token')
    }
    for (const { name, user } of lostToOne) {
      if (user === undefined) continue
      const again = await logIn(a, user.email) // a lost suspension and a lost password are lost
      t.same(
        [await verdict(a, again), await verdict(b, again), await refusedElsewhere(again.access_token)],
        ['good', 'good', false],
        name,
      )
    }
    t.equal(await verdict(b, mine), 'good', 'and who had nothing to do with it notices nothing')
  })

  await t.test('it is said: once in the log of each server, and in the trail', async (t) => {
    for (const lines of [log, logOfB])
      t.equal(lines.filter((line) => line.includes('the database went back')).length, 1)
    const rows = await database.query("SELECT detail FROM audit_events WHERE event = 'revocations_written_back'")
    const details = rows.map(({ detail }) => JSON.parse(String(detail)))
    const changed = [...lostToBoth, ...lostToOne].filter(({ name }) => ['suspension', 'roleChange'].includes(name))
    const named = (kind: 'accounts' | 'clients') => [...new Set(details.flatMap((detail) => detail[kind]))].sort()
    const sum = (kind: 'sessions' | 'tokens') => details.reduce((sum, detail) => sum + detail[kind], 0)
    t.same(named('accounts'), changed.map(({ user }) => user?.id).sort())
    t.equal(named('clients').length, 2)
    // Both servers may write the same at once.
    t.ok(sum('sessions') >= 8 && sum('sessions') <= 12, `${sum('sessions')} sessions`)
    t.ok(sum('tokens') >= 2 && sum('tokens') <= 3, `${sum('tokens')} tokens`)
  })
}

t.test('PostgreSQL: a failover to a standby that missed the last transactions', (t) => failsOver(t, postgresFailover))
t.test('SQLite: the rows of before', (t) => failsOver(t, sqliteFailover))
