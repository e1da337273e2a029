import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { temporaryFolder } from '../../support/app.ts'
import { clientKey } from '../../support/assertion.ts'
import { runScript } from '../../support/scripts.ts'
import { isolated, startServer } from '../../support/service.ts'

const script = (env: Record<string, string>) => (args: string[]) => runScript('scripts/clients.ts', args, env)

t.test('an operator creates, lists, rotates, disables, enables and deletes clients of a running server', async (t) => {
  const server = await startServer(t)
  const { PORT: _, ...folders } = server.env
  const clients = script({ ...folders, ISSUER: server.url })
  const token = async (id: string, secret: string) => {
    const headers = { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` }
    const body = new URLSearchParams({ grant_type: 'client_credentials' })
    const reply = await fetch(`${server.url}/oauth/token`, { method: 'POST', headers, body })
    return (await reply.json()) as { access_token?: string; scope?: string; expires_in?: number; error?: string }
  }
  /** The error, once there is one: a server remembers a client for 50 ms. */
  const refusal = async (id: string, secret: string) => {
    for (;;) {
      const { error } = await token(id, secret)
      if (error !== undefined) return error
      await pause(10)
    }
  }
  t.match(await clients(['list']), { code: 0, stdout: 'no clients yet\n' })
  const options = ['--scope', 'a b', '--scope', 'c', '--ttl', '5m', '--audience', server.url, '--audience', 'api']
  const created = await clients(['create', '--name', 'Billing service', ...options, '--json'])
  t.equal(created.code, 0, created.stderr)
  const { client_id: id, client_secret: secret, ...rest } = JSON.parse(created.stdout)
  t.match(rest, { name: 'Billing service', scope: 'a b c', ttl: 300, audience: [server.url, 'api'], status: 'active' })
  const { access_token: first = '', ...granted } = await token(id, secret)
  t.match(granted, { scope: 'a b c', expires_in: 300 })

  const rotated = JSON.parse((await clients(['rotate-secret', id, '--overlap', '1h', '--json'])).stdout)
  t.match(rotated, { client_id: id, previous_secret_expires_at: /Z$/ })
  for (const good of [secret, rotated.client_secret]) t.ok((await token(id, good)).access_token)
  const { stdout } = await clients(['rotate-secret', id, '--overlap', '0s'])
  const [, last = ''] = /^client_secret {2}(scs_[\w-]{43})\n/.exec(stdout) ?? []
  t.equal(await refusal(id, rotated.client_secret), 'invalid_client')
  t.ok((await token(id, last)).access_token)

  const standing = async () =>
    (await fetch(`${server.url}/v1/me`, { headers: { authorization: `Bearer ${first}` } })).status
  t.equal(await standing(), 200)
  t.match(await clients(['disable', id]), { code: 0, stdout: `Billing service (${id}): is now disabled\n` })
  t.equal(await refusal(id, last), 'invalid_client')
  while ((await standing()) === 200) await pause(20)
  t.match(await clients(['enable', id]), { code: 0, stdout: /is now active/ })
  t.ok((await token(id, last)).access_token)
  t.match(
    (await clients(['list'])).stdout,
    /^NAME +STATUS .*\nBilling service +active +client_secret_basic +a b c +\d{4}/,
  )
  t.match(await clients(['delete', id]), { code: 0, stdout: `${id}: is deleted\n` })
  t.equal(await refusal(id, last), 'invalid_client')
  t.same(JSON.parse((await clients(['list', '--json'])).stdout), [])
})

t.test('a client with keys has no secret; text for a person shows one once', async (t) => {
  const env = await isolated(t)
  const clients = script(env)
  const file = join(await temporaryFolder(t), 'keys.json')
  const { jwk } = clientKey('ES256')
  await writeFile(file, JSON.stringify({ keys: [jwk] }))
  const created = JSON.parse((await clients(['create', '--name', 'x', '--jwks', file, '--json'])).stdout)
  t.match(created, { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwk] } })
  t.notOk('client_secret' in created)
  const shown = await clients(['create', '--name', 'y'])
  t.match(
    shown.stdout,
    /^created y\nclient_id {6}client_[\w-]{22}\nclient_secret {2}scs_[\w-]{43}\nThe secret is not stored/,
  )
  const remote = await clients(['create', '--name', 'z', '--jwks-uri', 'https://z.example/keys'])
  t.match(remote, { code: 0, stdout: /^created z\nclient_id {6}client_[\w-]{22}\n$/ })
  t.match(await clients(['rotate-secret', created.client_id]), { code: 1, stderr: /has no secret/ })
})

t.test('refusals are one line with exit code 1, misuse is exit code 2', async (t) => {
  const clients = script(await isolated(t))
  const CASES: [args: string[], code: number, stderr: RegExp][] = [
    [['create'], 2, /^clients: error: --name is needed\n/],
    [['create', '--name', 'x', '--ttl', '10'], 2, /^clients: error: --ttl is not acceptable: /],
    [['create', '--name', 'x', '--ttl', '1h'], 2, /^clients: error: --ttl is not acceptable: /],
    [['create', '--name', 'x', '--ttl', 'soon'], 2, /^clients: error: --ttl takes a duration/],
    [['create', '--name', 'x', '--scope', 'a"b'], 2, /^clients: error: --scope is not acceptable: /],
    [
      ['create', '--name', 'x', '--scope', 'signet:admin'],
      1,
      /unknown name that begins with signet:.*signet:audit:read/,
    ],
    [['create', '--name', 'x', '--audience', 'a b'], 2, /^clients: error: --audience is not acceptable: /],
    [
      ['create', '--name', 'x', '--jwks', '/nowhere'],
      1,
      /^clients: error: --jwks: \/nowhere can not be read as JSON\n/,
    ],
    [['create', '--name', 'x', '--jwks-uri', 'http://x.example'], 1, /is not an https address\n$/],
    [['rotate-secret'], 2, /usage: clients rotate-secret <client id>/],
    [['rotate-secret', 'client_x', '--overlap', '31d'], 2, /--overlap is at most 30d/],
    [
      ['rotate-secret', 'client_x'],
      1,
      /^clients: error: there is no client "client_x"\nhint: npm run clients -- list\n$/,
    ],
    [['disable', 'client_x'], 1, /there is no client "client_x"/],
    [['delete', 'client_x'], 1, /there is no client "client_x"/],
    [['constructor'], 2, /there is no command "constructor"/],
  ]
  for (const [args, code, stderr] of CASES) {
    const result = await clients(args)
    t.equal(result.code, code, args.join(' '))
    t.match(result.stderr, stderr, args.join(' '))
    t.equal(result.stdout, '', args.join(' '))
  }
  for (const command of ['create', 'list', 'rotate-secret', 'disable', 'enable', 'delete'])
    t.match(await clients([command, '--help']), {
      code: 0,
      stdout: new RegExp(`Examples\n  npm run -s clients -- ${command}`),
    })
})
