import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { bothWorkers, isAlive, loginOn, person, workersOf } from '../../support/connections.ts'
import { openNode } from '../../support/engines.ts'
import { parsePage } from '../../support/scrape.ts'
import { runScript } from '../../support/scripts.ts'
import { partOf, startServer } from '../../support/service.ts'
import { nobodyIsCutOff } from './half-sent.ts'
import { acceptsNothingWithdrawn, frozenWorker } from './stood-still.ts'

// WORKERS=2: several processes that are one server to everybody outside.

const EMAIL = 'ada@example.com'
const TOKEN_LIMIT = 6
const server = await startServer(t, {
  WORKERS: '2',
  METRICS_PORT: '0',
  RATE_LIMIT_TOKEN: String(TOKEN_LIMIT),
  LOGIN_FAILURES_PER_ACCOUNT: '2',
})
const [one, other] = await bothWorkers(t, server)
const metricsUrl = /metrics at (http:[^"\s]+)/.exec(server.output())?.[1] ?? ''
const scrape = async () => parsePage(await (await fetch(metricsUrl)).text())
const kid = (token: string) => partOf(token, 0).kid

t.test('both listen on the free port that was found for PORT=0, and name the same issuer', async (t) => {
  t.equal(new Set(workersOf(server)).size, 2)
  t.notOk(workersOf(server).includes(Number(server.child.pid)), 'the primary serves nobody')
  await person(one, EMAIL)
  for (const worker of [one, other]) t.match(partOf((await loginOn(worker, EMAIL)).access, 1), { iss: server.url })
})

t.test('what one worker has answered as withdrawn the other refuses at once', async (t) => {
  for (let i = 0; i < 6; i += 1) {
    const [on, elsewhere] = i % 2 === 0 ? ([one, other] as const) : ([other, one] as const)
    const { access } = await loginOn(elsewhere, EMAIL)
    t.equal((await elsewhere.ask('GET', '/v1/me', undefined, access)).status, 200)
    t.equal((await on.ask('POST', '/v1/logout', {}, access)).status, 204)
    const { status, body } = await elsewhere.ask('GET', '/v1/me', undefined, access)
    t.match({ status, code: body.code }, { status: 401, code: 'invalid_token' })
  }
})

t.test('a worker that stood still accepts nothing that was withdrawn meanwhile', async (t) => {
  await acceptsNothingWithdrawn(t, one, EMAIL, frozenWorker(server, other))
})

t.test('limits count over both: routes, and wrong passwords', async (t) => {
  const statuses: number[] = []
  for (let i = 0; i < TOKEN_LIMIT + 2; i += 1)
    statuses.push((await (i % 2 === 0 ? one : other).ask('POST', '/oauth/token')).status)
  t.notOk(statuses.slice(0, TOKEN_LIMIT).includes(429))
  t.same(statuses.slice(TOKEN_LIMIT), [429, 429])

  const wrong = { email: 'nobody@example.com', password: 'not the password of anybody' }
  t.equal((await one.ask('POST', '/v1/login', wrong)).status, 401)
  t.equal((await other.ask('POST', '/v1/login', wrong)).status, 401)
  t.equal((await one.ask('POST', '/v1/login', wrong)).status, 429)
})

t.test('metrics are those of all workers', async (t) => {
  const series = 'signet_http_request_duration_seconds_count{method="GET",route="/v1/me",status="200"}'
  const { access } = await loginOn(one, EMAIL)
  const before = (await scrape()).get(series) ?? 0
  for (let i = 0; i < 3; i += 1) await one.ask('GET', '/v1/me', undefined, access)
  for (let i = 0; i < 4; i += 1) await other.ask('GET', '/v1/me', undefined, access)
  const page = await scrape()
  t.equal((page.get(series) ?? 0) - before, 7)
  t.equal(page.get('signet_workers'), 2)
  t.equal(page.get('signet_keys{phase="current"}'), 1)
})

t.test('both follow a rotation', async (t) => {
  const old = kid((await loginOn(one, EMAIL)).access)
  const { code, stderr } = await runScript('scripts/keys.ts', ['rotate', '--now'], server.env)
  t.equal(code, 0, stderr)
  for (const [worker, elsewhere] of [
    [one, other],
    [other, one],
  ] as const) {
    let { access } = await loginOn(worker, EMAIL)
    while (kid(access) === old) {
      await pause(50)
      access = (await loginOn(worker, EMAIL)).access
    }
    while ((await elsewhere.ask('GET', '/v1/me', undefined, access)).status !== 200) await pause(50)
  }
})

t.test(
  'SIGTERM to the primary ends all: nobody is cut off, exit 0; the trail has one row of the rotation',
  async (t) => {
    const database = await openNode(t, String(server.env.DATABASE_URL))
    const rows = () => database.query("SELECT detail FROM audit_events WHERE event = 'keys_changed'")
    while ((await rows()).length === 0) await pause(50)
    t.match(await nobodyIsCutOff(t, server, () => server.child.kill('SIGTERM')), { code: 0 })
    t.match(server.output(), '"msg":"closed"')
    t.notMatch(server.output(), 'another one takes its place')
    t.notOk(workersOf(server).some(isAlive))
    t.equal((await rows()).length, 1)
  },
)
