import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { ENGINES } from '../../support/engines.ts'
import { runScript } from '../../support/scripts.ts'
import {
  isolated,
  login,
  postRefresh,
  register,
  type ServerProcess,
  sharedSettings,
  type Tokens,
  twoNodes,
  verdict,
} from '../../support/service.ts'

const script = (env: Record<string, string>) => (args: string) => runScript('scripts/sessions.ts', args.split(' '), env)

const sidOf = ({ access }: Tokens): string =>
  JSON.parse(Buffer.from(access.split('.')[1] ?? '', 'base64url').toString()).sid

/** What is revoked by another process is refused a moment later. */
async function refused(server: ServerProcess, tokens: Tokens): Promise<string | number> {
  while ((await verdict(server, tokens)) === 200) await pause(10)
  return verdict(server, tokens)
}

async function refreshCode(server: ServerProcess, tokens: Tokens): Promise<string | undefined> {
  return ((await (await postRefresh(server, tokens)).json()) as { code?: string }).code
}

for (const engine of ENGINES)
  t.test(`${engine.name}: an operator lists and ends sessions while two servers run`, async (t) => {
    const nodes = await twoNodes(t, await sharedSettings(t, { DATABASE_URL: await engine.url(t) }))
    const [one, two] = nodes
    const sessions = script(one.env)
    const [ada, bob] = ['ada@example.com', 'bob@example.com']
    await Promise.all([register(one, ada), register(one, bob)])
    t.match(await sessions(`list ${ada}`), { code: 0, stdout: 'ada@example.com is logged in nowhere\n' })
    const [stays, goes, other] = [await login(one, ada), await login(two, ada), await login(one, bob)]

    const listed = JSON.parse((await sessions('list ADA@example.com --json')).stdout)
    t.same(listed.map(({ id }: { id: string }) => id).sort(), [stays, goes].map(sidOf).sort())
    const own = await fetch(`${one.url}/v1/sessions`, { headers: { authorization: `Bearer ${stays.access}` } })
    const shown = ((await own.json()) as { sessions: { current?: boolean }[] }).sessions
    t.same(
      listed,
      shown.map(({ current, ...rest }) => rest),
      'what their owner sees',
    )
    const text = (await sessions(`list ${ada}`)).stdout
    t.match(
      text,
      /^ID +CREATED +LAST USED +EXPIRES +ADDRESS +USER AGENT\n[\w-]{22} +\d{4}-\S+Z +.* 127\.0\.0\.1 +node\n/,
    )

    const id = sidOf(goes)
    t.match(await sessions(`end ${id}`), { code: 0, stdout: `${id}: has ended\n`, stderr: '' })
    for (const server of nodes) t.equal(await refused(server, goes), 'invalid_token')
    t.equal(await refreshCode(one, goes), 'invalid_refresh_token')
    t.equal(await verdict(two, stays), 200, 'only this one')
    t.match(await sessions(`end ${id}`), { code: 1, stderr: /^sessions: error: there is no live session ".*"\nhint: / })

    t.match(await sessions('end-all'), {
      code: 1,
      stdout: 'would end 2 sessions: everybody has to log in again\nnothing was changed: add --yes to do it\n',
    })
    const dry = await sessions('end-all --json')
    t.same([dry.code, JSON.parse(dry.stdout)], [1, { ended: false, sessions: 2 }])
    for (const tokens of [stays, other]) t.equal(await verdict(two, tokens), 200, 'nothing was changed')

    const done = await sessions('end-all --yes --json')
    t.same([done.code, JSON.parse(done.stdout)], [0, { ended: true, sessions: 2 }], done.stderr)
    for (const tokens of [stays, other]) {
      for (const server of nodes) t.equal(await refused(server, tokens), 'invalid_token')
      t.equal(await refreshCode(two, tokens), 'invalid_refresh_token')
    }
    const again = await login(two, ada)
    for (const server of nodes) t.equal(await verdict(server, again), 200)
    t.match(await sessions('end-all --yes'), {
      code: 0,
      stdout: /^ended 1 sessions: .*\ntokens of OAuth clients go on/,
    })
  })

t.test('refusals are one line with exit code 1, misuse is exit code 2', async (t) => {
  const sessions = script(await isolated(t))
  const CASES: [args: string, code: number, stderr: RegExp][] = [
    ['list nobody@example.com', 1, /^sessions: error: there is no account nobody@example\.com\nhint: .*accounts.*\n$/],
    ['list', 2, /usage: sessions list <email>/],
    ['list a@b.co c@d.co', 2, /usage: sessions list <email>/],
    ['end nothing', 1, /^sessions: error: there is no live session "nothing"\nhint: .*\n$/],
    ['end -AAAAAAAAAAAAAAAAAAAAA', 1, /there is no live session "-A/],
    [`end ${'x'.repeat(300)}`, 1, /there is no live session "x{64}"\n/],
    ['end', 2, /usage: sessions end <session id>/],
    ['end-all everybody', 2, /usage: sessions end-all --yes/],
    ['end-all --force', 2, /Unknown option '--force'/],
    ['kill', 2, /there is no command "kill"/],
  ]
  for (const [args, code, stderr] of CASES) {
    const result = await sessions(args)
    t.equal(result.code, code, args)
    t.match(result.stderr, stderr, args)
    t.equal(result.stdout, '', args)
  }
  t.match(await sessions('end-all --yes'), { code: 0, stdout: /^ended 0 sessions/ }, 'an empty store')
  for (const command of ['list', 'end', 'end-all'])
    t.match(await sessions(`${command} --help`), { code: 0, stdout: `  npm run -s sessions -- ${command}` })
  const memory = { ...(await isolated(t)), DATABASE_URL: 'sqlite::memory:' }
  t.match(await script(memory)('end-all'), { code: 1, stderr: /a database in memory has no sessions to work on/ })
})
