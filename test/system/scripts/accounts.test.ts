import t from 'tap'
import { PASSWORD } from '../../support/app.ts'
import { openNode } from '../../support/engines.ts'
import { runScript } from '../../support/scripts.ts'
import { isolated } from '../../support/service.ts'

const script =
  (env: Record<string, string>) =>
  (args: string, stdin = '') =>
    runScript('scripts/accounts.ts', args === '' ? [] : args.split(' '), env, { stdin })

t.test('an operator creates, lists, changes and suspends accounts', async (t) => {
  const env = await isolated(t)
  const accounts = script(env)
  t.match(await accounts('list'), { code: 0, stdout: 'no accounts yet\n' })
  t.match(await accounts('create --email Ops@Example.com --role admin', `${PASSWORD}\nsecond line`), {
    code: 0,
    stdout: /^created ops@example\.com \(acc_[\w-]{22}\)\n$/,
    stderr: '',
  })
  t.match(await accounts('set-roles ops@example.com --role admin --role support'), {
    code: 0,
    stdout: 'ops@example.com: roles are now admin, support\n',
  })
  t.match(await accounts('suspend OPS@example.com'), { code: 0, stdout: 'ops@example.com: is now suspended\n' })
  t.match(JSON.parse((await accounts('list --json')).stdout), [
    { email: 'ops@example.com', status: 'suspended', roles: ['admin', 'support'] },
  ])
  t.match(JSON.parse((await accounts('activate ops@example.com --json')).stdout), { status: 'active' })
  t.match(await accounts('set-roles ops@example.com --none'), { code: 0, stdout: /none/ })
  t.match(
    (await accounts('list')).stdout,
    /^EMAIL +STATUS +ROLES +CREATED +ID\nops@example\.com +active +- +\d{4}-.*Z +acc_/,
  )
  t.match(await accounts('create --email plain@example.com', PASSWORD), { code: 0 })
  const database = await openNode(t, String(env.DATABASE_URL))
  const made = await database.query(
    "SELECT detail FROM audit_events WHERE event = 'account_registered' ORDER BY detail",
  )
  t.same(
    made,
    [{ detail: '{"roles":["admin"]}' }, { detail: '{}' }],
    'a role that an account is made with is in the trail',
  )
  const notices = await database.query(
    `SELECT e.event FROM outbox o JOIN audit_events e ON e.id = o.audit_id
     WHERE o.kind = 'notice' AND o.state = 'caused'`,
  )
  t.same(notices.map(({ event }) => event).sort(), ['account_activated', 'account_suspended'], 'the owner is told')
})

t.test('refusals are one line with exit code 1, misuse is exit code 2', async (t) => {
  const accounts = script(await isolated(t))
  const CASES: [args: string, stdin: string, code: number, stderr: RegExp][] = [
    [
      'create --email ops@example.com',
      'short',
      1,
      /^accounts: error: The password has 5 characters, and at least 15 are needed\.\n$/,
    ],
    [
      'create --email ops@example.com',
      '',
      1,
      /^accounts: error: the first line of standard input is empty\nhint: .*\n$/,
    ],
    ['create --email nonsense', PASSWORD, 1, /^accounts: error: .*is not an email address\n$/],
    ['suspend nobody@example.com', '', 1, /^accounts: error: there is no account nobody@example\.com\nhint: .*\n$/],
    ['create', '', 2, /^accounts: error: --email is needed\nhint: npm run accounts -- create --help\n$/],
    ['create --email a@b.co --role Admin', '', 2, /a role is a lower-case name/],
    ['set-roles a@b.co', '', 2, /either --role or --none/],
    ['suspend', '', 2, /usage: accounts suspend <email>/],
    ['suspend a@b.co --force', '', 2, /Unknown option '--force'/],
    ['constructor', '', 2, /there is no command "constructor"/],
  ]
  for (const [args, stdin, code, stderr] of CASES) {
    const result = await accounts(args, stdin)
    t.equal(result.code, code, args)
    t.match(result.stderr, stderr, args)
    t.equal(result.stdout, '', args)
  }
  await accounts('create --email twice@example.com', PASSWORD)
  t.match(await accounts('create --email twice@example.com', PASSWORD), {
    code: 1,
    stderr: /An account with this email exists already/,
  })
})

t.test('help shows worked examples', async (t) => {
  const accounts = script(await isolated(t))
  t.match(await accounts('--help'), { code: 0, stdout: /create .*list .*suspend .*activate .*set-roles /s })
  for (const command of [
    'create',
    'list',
    'suspend',
    'activate',
    'set-roles',
    'set-password',
    'set-email',
    'send-recovery',
    'delete',
    'after-restore',
  ]) {
    t.match(await accounts(`${command} --help`), {
      code: 0,
      stdout: new RegExp(`Examples\n  npm run -s accounts -- ${command}`),
    })
  }
  t.equal((await accounts('')).code, 2)
})
