import t from 'tap'
import { loadConfig } from '../../../src/config/config.ts'
import { openDatabase } from '../../../src/db/open.ts'
import { PASSWORD } from '../../support/app.ts'
import { runScript } from '../../support/scripts.ts'
import { isolated, login, post, postRefresh, startServer } from '../../support/service.ts'

// What an operator does for somebody who can't get in: on the database of a server that runs.

const NEXT = 'a new horse battery staple'

t.test('an operator sets a password and an address, sends a recovery, and deletes an account', async (t) => {
  const node = await startServer(t, await isolated(t))
  const accounts = (args: string, stdin = '', env = node.env) =>
    runScript('scripts/accounts.ts', args.split(' '), env, { stdin })
  const ok = async (args: string, stdin = '') => {
    const { code, stdout, stderr } = await accounts(args, stdin)
    t.equal(code, 0, `${args}: ${stderr}`)
    return stdout
  }
  const status = async (email: string, password: string) =>
    (await post(`${node.url}/v1/login`, { email, password })).status === 200 ? 'good' : 'refused'
  await ok('create --email ops@example.com --role admin', PASSWORD)
  await ok('create --email ada@example.com', PASSWORD)
  const before = await login(node, 'ada@example.com')

  t.equal(
    await ok('set-password Ada@Example.com', `${NEXT}\nsecond line`),
    'ada@example.com: the password is set, and every session ended.\n',
  )
  t.equal(await status('ada@example.com', NEXT), 'good')
  t.equal(await status('ada@example.com', PASSWORD), 'refused')
  t.equal((await postRefresh(node, before)).status, 401)
  t.equal(
    await ok('set-email ada@example.com Ada@Example.org'),
    'ada@example.com: the address is now ada@example.org\n',
  )
  t.equal(await status('ada@example.org', NEXT), 'good')
  t.match(await ok('send-recovery ada@example.org'), /^ada@example\.org: the message waits for a running server\.\n$/)

  const CASES: [args: string, stdin: string, code: number, stderr: RegExp][] = [
    ['set-password ada@example.org', 'short', 1, /at least 15 are needed/],
    ['set-password ada@example.org', '', 1, /first line of standard input is empty/],
    ['set-password nobody@example.com', NEXT, 1, /there is no account nobody@example\.com/],
    ['set-email ada@example.org ops@example.com', '', 1, /ops@example\.com is taken/],
    ['set-email ada@example.org nonsense', '', 1, /"nonsense" is not an email address/],
    ['set-email ada@example.org ada@example.org', '', 1, /is the address already/],
    ['set-email ada@example.org', '', 2, /usage: accounts set-email <email> <new email>/],
    ['delete ada@example.org', '', 2, /delete needs --yes/],
    ['delete ops@example.com --yes', '', 1, /is the last active admin/],
    ['send-recovery nobody@example.com', '', 1, /there is no account/],
  ]
  for (const [args, stdin, code, stderr] of CASES) {
    const result = await accounts(args, stdin)
    t.match(result, { code, stderr, stdout: '' }, args)
  }
  const { MAIL_URL: _, ...silent } = node.env
  const production = { ...silent, NODE_ENV: 'production', ISSUER: 'https://auth.example.com' }
  t.match(await accounts('send-recovery ada@example.org', '', production), { code: 1, stderr: /MAIL_URL is not set/ })
  t.equal(await status('ada@example.org', NEXT), 'good', 'none of these changed anything')
  t.equal(await ok('delete ada@example.org --yes'), 'ada@example.org: deleted\n')
  t.equal(await status('ada@example.org', NEXT), 'refused')

  const database = await openDatabase(loadConfig({ env: node.env }))
  t.teardown(() => database.close())
  const sql = "SELECT event FROM audit_events WHERE user_agent = 'accounts script' ORDER BY at, event"
  const events = new Set((await database.query(sql)).map(({ event }) => event))
  t.match(await database.query("SELECT detail FROM audit_events WHERE event = 'email_changed'"), [
    { detail: '{"email":"a…@example.org","email_before":"a…@example.com"}' },
  ])
  for (const event of ['password_set', 'email_changed', 'recovery_requested', 'account_deleted'])
    t.ok(events.has(event), event)
})
