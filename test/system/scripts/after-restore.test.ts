import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { toTimestamp } from '../../../src/clock.ts'
import { anotherNode } from '../../support/another-node.ts'
import { startApp, temporaryFolder } from '../../support/app.ts'
import { ENGINES, openNode } from '../../support/engines.ts'
import { administer, logIn, refreshed, refreshVerdict, signUp, signUpAdmin, verdict } from '../../support/front-door.ts'
import { OPERATOR, operator, register, tokenOf } from '../../support/oauth.ts'
import { call } from '../../support/people.ts'
import { runScript } from '../../support/scripts.ts'
import { run } from '../../support/service.ts'

// A backup is put in place: what was ended, suspended and changed after it was made is unknown to the store.

const now = () => Math.floor(Date.now() / 1000)
const script = (url: string, args: string[], stdin = '') =>
  runScript('scripts/accounts.ts', ['after-restore', ...args], { DATABASE_URL: url }, { stdin })

/** A server, its backup, and what happened after the backup. */
async function history(t: Test) {
  const dir = await temporaryFolder(t)
  const server = await startApp(t, { env: { DATABASE_URL: `sqlite:${join(dir, 'lost.db')}` } })
  const { app } = server
  const admin = await signUpAdmin(server)
  const names = ['honest', 'stolen', 'suspended', 'roles', 'deleted', 'unchanged'] as const
  const people = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await signUp(app)] as const)),
  ) as Record<(typeof names)[number], Awaited<ReturnType<typeof signUp>>>
  const client = await register(server)
  const restored = join(dir, 'restored.db')
  const file = new DatabaseSync(join(dir, 'lost.db'))
  file.exec(`VACUUM INTO '${restored}'`)
  file.close()
  const backupAt = toTimestamp(now())

  let newest = await refreshed(app, people.honest)
  newest = { ...newest, ...(await refreshed(app, newest)) }
  t.equal((await call(app, people.stolen.access_token, 'POST', '/v1/logout', {})).statusCode, 204)
  t.equal((await administer(app, admin, people.suspended.id, { status: 'suspended' })).statusCode, 200)
  t.equal((await administer(app, admin, people.roles.id, { roles: ['support'] })).statusCode, 200)
  const withRole = await logIn(app, people.roles.email)
  t.equal((await call(app, people.deleted.access_token, 'DELETE', '/v1/me')).statusCode, 204)
  const after = await signUp(app)
  await operator(server, now).setStatus(client.id, 'disabled', OPERATOR)
  // What an operator did by script stands in the rows alone; these lines are those of the servers.
  const log = [...server.log, 'a line of another program', '{"event":', '{"event":1,"time":2}', 'null']
  log.push(
    JSON.stringify({ event: 'password_changed', time: new Date().toISOString(), account_id: people.honest.id }),
    JSON.stringify({ event: 'client_disabled', time: new Date().toISOString(), client_id: client.id }),
    JSON.stringify({
      event: 'roles_changed',
      time: '2020-01-01T00:00:00Z',
      account_id: people.unchanged.id,
      roles: [],
    }),
  )
  const url = `sqlite:${restored}`
  return {
    url,
    lost: server,
    backupAt,
    people,
    newest,
    withRole,
    after,
    client,
    log: log.map((line) => line.trim()).join('\n'),
  }
}

t.test('a restored store gives nothing back, and nobody honest is taken for a thief', async (t) => {
  const { url, lost, backupAt, people, newest, withRole, after, client, log } = await history(t)
  const dry = await script(url, ['--backup-at', backupAt, '--dry-run', '--json'], log)
  t.match(dry, { code: 0, stderr: '' })
  const done = await script(url, ['--backup-at', backupAt, '--json'], log)
  t.match(done, { code: 0, stderr: '' })
  const [planned, report] = [dry, done].map(({ stdout }) => JSON.parse(stdout))
  t.same([planned.ended, report.ended], [false, true])
  t.same(planned.lost, report.lost)
  t.match([planned.sessions, planned.accounts, planned.clients], [8, 7, 1], 'the dry run has changed nothing')
  t.same([report.sessions, report.accounts, report.clients], [8, 7, 1])
  const named = report.lost.map(({ event, id, remedy }: Record<string, string>) => `${event} ${id} ${remedy}`).sort()
  t.same(
    named,
    [
      `account_deleted ${people.deleted.id} npm run accounts -- suspend ${people.deleted.email}`,
      `account_suspended ${people.suspended.id} npm run accounts -- suspend ${people.suspended.email}`,
      `client_disabled ${client.id} npm run clients -- disable ${client.id}`,
      `password_changed ${people.honest.id} its owner changes it; until then: npm run accounts -- suspend ${people.honest.email}`,
      `roles_changed ${people.roles.id} npm run accounts -- set-roles ${people.roles.email} --role support`,
    ].sort(),
  )

  const database = await openNode(t, url)
  const { app } = await anotherNode(t, { ...lost, database }) // the keys are those from before
  for (const [name, tokens] of Object.entries({ ...people, newest, withRole })) {
    t.not(await verdict(app, tokens), 'good', `the access token of ${name}`)
    t.equal(await refreshVerdict(app, tokens), 'invalid_refresh_token', `the refresh token of ${name}`)
  }
  t.equal(await refreshVerdict(app, after), 'invalid_refresh_token')
  t.equal(await verdict(app, after), 'invalid_token', 'nor a token of an account that the backup does not have')
  const trail = await database.query('SELECT event, detail FROM audit_events ORDER BY at')
  t.notOk(
    trail.some(({ event }) => event === 'refresh_token_reused'),
    'no theft is reported',
  )
  const rows = trail.filter(({ event }) => event === 'backup_restored')
  t.same(
    rows.map(({ detail }) => JSON.parse(String(detail))),
    [{ backup_at: backupAt, sessions: 8 }],
  )

  t.equal(await verdict(app, await logIn(app, people.honest.email)), 'good', 'whoever logs in goes on')
  const again = await signUpAdmin({ app, database })
  t.equal((await administer(app, again, people.roles.id, { roles: ['auditor'] })).statusCode, 200)
  t.equal(await verdict(app, withRole), 'invalid_token', 'a version from after the backup is never good again')
})

t.test('the text names what went back, and says when it can not know', async (t) => {
  const { url, backupAt, people, log } = await history(t)
  const told = await script(url, ['--backup-at', backupAt, '--dry-run'], log)
  t.match(told.stdout, /^would end 8 sessions, and the tokens of 7 accounts and 1 clients\n/)
  t.match(told.stdout, /AT +EVENT +ID +NOW +WHAT TO DO\n/)
  t.match(told.stdout, `${people.suspended.email} is active again`)
  t.match((await script(url, ['--backup-at', backupAt, '--dry-run'])).stdout, /no log was given on standard input/)
  const old = JSON.stringify({ event: 'account_suspended', time: '2020-01-01T00:00:00Z', account_id: people.honest.id })
  t.match(
    (await script(url, ['--backup-at', backupAt, '--dry-run'], old)).stdout,
    /nothing went back, as far as the 1 /,
  )
  const misuse: [args: string[], said: RegExp][] = [
    [[], /--backup-at is needed/],
    [['--backup-at', 'yesterday'], /takes an RFC 3339 time/],
    [['--backup-at', '2026-13-01T00:00:00Z'], /takes an RFC 3339 time/],
    [['--backup-at', '2026-11-30'], /takes an RFC 3339 time/],
    [['--backup-at', toTimestamp(now() + 3600)], /is in the future/],
  ]
  for (const [args, said] of misuse) t.match(await script(url, args), { code: 2, stderr: said }, args.join(' '))
})

t.test('a log that is larger than the memory is read', async (t) => {
  const dir = await temporaryFolder(t)
  const server = await startApp(t, { env: { DATABASE_URL: `sqlite:${join(dir, 'signet.db')}` } })
  const { id } = await signUp(server.app)
  const time = toTimestamp(now() - 60)
  const line = (roles: string[]) => JSON.stringify({ event: 'roles_changed', time, account_id: id, roles })
  const LINES = 1500
  const long = `${line(['x'.repeat(60_000)])}\n`.repeat(LINES)
  const env = { DATABASE_URL: `sqlite:${join(dir, 'signet.db')}`, NODE_OPTIONS: '--max-old-space-size=48' }
  const args = ['after-restore', '--backup-at', toTimestamp(now() - 120), '--dry-run', '--json']
  const { code, stdout } = await run(t, 'scripts/accounts.ts', args, env, `${long}${line(['last'])}\n`).finished
  t.equal(code, 0)
  const { events_read, lost } = JSON.parse(stdout)
  t.equal(events_read, LINES + 1)
  t.match(lost, [{ remedy: /--role last$/ }])
})

for (const engine of ENGINES) {
  t.test(`a server that was not restarted hears of it (${engine.name})`, async (t) => {
    const url = await engine.url(t)
    const server = await startApp(t, { env: { DATABASE_URL: url } })
    const { app, database } = server
    const [person, other] = [await signUp(app), await signUp(app)]
    const service = { access_token: await tokenOf(app, await register(server, {})) }
    t.equal((await call(app, other.access_token, 'POST', '/v1/logout', {})).statusCode, 204)
    // The numbers of a restored store are behind those that this server has seen.
    await database.query('UPDATE revocation_head SET seq = 0')
    t.match(await script(url, ['--backup-at', toTimestamp(now())]), { code: 0 })
    for (const tokens of [person, service])
      while ((await verdict(app, tokens)) === 'good') await new Promise(setImmediate)
    t.equal(await refreshVerdict(app, person), 'invalid_refresh_token')
    t.equal(await verdict(app, await logIn(app, person.email)), 'good')
  })
}
