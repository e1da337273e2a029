import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { SetEntry } from '../../../src/revocations/revocation-set.ts'
import { writeBack } from '../../../src/revocations/write-back-store.ts'
import { startApp } from '../../support/app.ts'
import { ENGINES } from '../../support/engines.ts'
import { claimsOf, logIn, refreshVerdict, signUp, verdict } from '../../support/front-door.ts'
import { register } from '../../support/oauth.ts'

// What servers write into a store that lost it. The first one is in time. The second one is late: it had to wait for
// the store, or it was stopped for a while. What was done between the two stays.

const LATER = 4_000_000_000

async function world(t: Test, url: string) {
  const server = await startApp(t, { env: { DATABASE_URL: url } })
  const { app, database } = server
  const [deleted, changed, loggedOut] = [await signUp(app), await signUp(app), await signUp(app)]
  const client = await register(server)
  const of = async (table: 'accounts' | 'clients', id: string) => {
    const [row] = await database.query(`SELECT status, token_version FROM ${table} WHERE id = $1`, [id])
    return { status: String(row?.status), version: Number(row?.token_version) }
  }
  const sessionOf = async (id: string) => {
    const [row] = await database.query('SELECT id FROM sessions WHERE account_id = $1', [id])
    return String(row?.id)
  }
  const entry = (kind: SetEntry['kind'], subject: string, minVersion: number | null = null): SetEntry => ({
    ...{ kind, subject, minVersion },
    expiresAt: LATER,
  })
  const lost = [
    entry('account', deleted.id),
    entry('account', 'acc_made_and_deleted_in_the_lost_part'),
    entry('client', client.id),
    entry('account', changed.id, (await of('accounts', changed.id)).version + 3),
    entry('session', await sessionOf(loggedOut.id)),
    entry('token', 'a-token'),
  ]
  const audit = async () =>
    (await database.query("SELECT detail FROM audit_events WHERE event = 'revocations_written_back'")).map(
      ({ detail }) => JSON.parse(String(detail)),
    )
  const write = (entries = lost) => writeBack(database, entries, Math.floor(Date.now() / 1000))
  return { app, database, deleted, changed, loggedOut, client, of, lost, audit, write }
}

for (const engine of ENGINES)
  t.test(`${engine.name}: what was deleted and is there again is revoked, and an operator decides`, async (t) => {
    const { app, deleted, changed, loggedOut, client, of, lost, audit, write } = await world(t, await engine.url(t))
    const before = await of('accounts', deleted.id)
    const { written, thereAgain } = await write()
    t.equal(written, lost.length)
    t.same([...thereAgain].sort(), [deleted.id, client.id].sort(), 'only what is there, and was deleted')
    t.equal(await refreshVerdict(app, deleted), 'invalid_refresh_token')
    t.equal(await refreshVerdict(app, loggedOut), 'invalid_refresh_token')
    t.equal(await refreshVerdict(app, changed), 'good', 'a change of the account ends no session')
    const after = await of('accounts', deleted.id)
    t.equal(after.status, 'active')
    t.equal((await of('clients', client.id)).status, 'active')
    t.ok(after.version > before.version + 1000, 'versions of the lost history are below the next ones')
    const named = lost.slice(0, 3).map(({ subject }) => subject)
    t.match(await audit(), [{ sessions: 1, tokens: 1, deleted: named }])
  })

for (const engine of ENGINES)
  t.test(`${engine.name}: a server that is late undoes nothing`, async (t) => {
    const { app, database, deleted, changed, client, of, lost, audit, write } = await world(t, await engine.url(t))
    await write()
    // The operator keeps the account, which was suspended for a while, and the client.
    await database.query("UPDATE accounts SET status = 'active' WHERE id = $1", [deleted.id])
    await database.query("UPDATE clients SET status = 'active' WHERE id = $1", [client.id])
    const again = await logIn(app, deleted.email)
    const rows = () => Promise.all([of('accounts', deleted.id), of('accounts', changed.id), of('clients', client.id)])
    const before = await rows()
    const nothing = { written: 0, thereAgain: [] }
    t.same(await write(), nothing)
    t.same(await Promise.all([write(), write()]), [nothing, nothing])
    t.same(await rows(), before)
    t.equal(await refreshVerdict(app, again), 'good', 'the session from since then goes on')
    t.equal((await audit()).length, 1)

    // One entry is still lacking: only that one is written.
    const other = await signUp(app)
    const one = { kind: 'account', subject: other.id, minVersion: null, expiresAt: LATER } as const
    t.same(await write([...lost, one]), { written: 1, thereAgain: [other.id] })
    t.same(await rows(), before)
    t.equal(await refreshVerdict(app, again), 'good')
  })

for (const engine of ENGINES)
  t.test(`${engine.name}: when everybody was out in the lost part, everybody is out again`, async (t) => {
    const { app, database, write } = await world(t, await engine.url(t))
    const [one, two] = [await signUp(app), await signUp(app)]
    const floor = { kind: 'client', subject: 'signet', minVersion: 1_800_000_000, expiresAt: LATER } as const
    const changed = { kind: 'account', subject: one.id, minVersion: 4, expiresAt: LATER } as const
    t.same(await write([changed, floor]), { written: 2, thereAgain: [] })
    for (const tokens of [one, two]) {
      t.equal(await refreshVerdict(app, tokens), 'invalid_refresh_token')
      while ((await verdict(app, tokens)) === 'good') await pause(10)
      t.equal(await verdict(app, tokens), 'invalid_token')
    }
    const again = await logIn(app, two.email)
    t.equal(claimsOf(again).token_version, 1_800_000_000, 'the next login is not below it')

    // A server that is late; and one that remembers an earlier time when everybody was out.
    const earlier = { ...floor, minVersion: 1_700_000_000 }
    for (const late of [floor, earlier]) t.same(await write([late]), { written: 0, thereAgain: [] })
    t.equal(await refreshVerdict(app, again), 'good')
    const [row] = await database.query("SELECT min_version FROM revocations WHERE subject = 'signet'")
    t.equal(Number(row?.min_version), 1_800_000_000)
  })
