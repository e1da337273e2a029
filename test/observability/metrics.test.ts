import { randomUUID } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { storeUnavailable } from '../../src/db/database.ts'
import type { App } from '../../src/http/app-type.ts'
import { readKeyring } from '../../src/keys/manifest.ts'
import { createRevokedKeyStore } from '../../src/keys/revoked-key-store.ts'
import { createMetrics } from '../../src/observability/metrics.ts'
import { timedDatabase } from '../../src/observability/timed-database.ts'
import { bearer, newUser, PASSWORD, startApp } from '../support/app.ts'
import { scrape, seriesNames } from '../support/scrape.ts'

const json = { 'content-type': 'application/json' }

t.test('a session is counted: requests, tokens, refreshes, the gate, the cache', async (t) => {
  const metrics = createMetrics()
  const { app } = await startApp(t, { instrumentation: metrics })
  const before = await scrape(metrics)
  t.equal(before.get('signet_tokens_issued_total{grant="password"}'), 0, 'a series is there before its first event')
  t.equal(before.get('signet_tokens_refused_total{reason="invalid_token"}'), 0)

  const account = { email: 'ada@example.com', password: PASSWORD }
  const { email } = account
  await app.inject({ method: 'POST', url: '/v1/accounts', payload: account })
  const token = (await app.inject({ method: 'POST', url: '/v1/login', payload: account })).json().access_token
  for (let i = 0; i < 3; i += 1) await app.inject({ url: '/v1/me', headers: bearer(token) })
  await app.inject({ url: '/v1/me' })
  await app.inject({ url: '/v1/me', headers: bearer(`${token.slice(0, -8)}AAAAAAAA`) })
  await app.inject({ method: 'HEAD', url: '/v1/me', headers: bearer(token) })
  const login = { method: 'POST' as const, url: '/v1/login', headers: json }
  await app.inject({ ...login, payload: { email, password: 'not the right one at all' } })

  const page = await scrape(metrics)
  const expected: Record<string, number> = {
    'signet_http_request_duration_seconds_count{method="GET",route="/v1/me",status="200"}': 3,
    'signet_http_request_duration_seconds_count{method="GET",route="/v1/me",status="401"}': 2,
    'signet_http_request_duration_seconds_count{method="HEAD",route="/v1/me",status="200"}': 1,
    'signet_http_request_duration_seconds_count{method="POST",route="/v1/login",status="200"}': 1,
    'signet_http_request_duration_seconds_count{method="POST",route="/v1/login",status="401"}': 1,
    'signet_http_request_duration_seconds_count{method="POST",route="/v1/accounts",status="201"}': 1,
    'signet_http_request_duration_seconds_bucket{le="+Inf",method="GET",route="/v1/me",status="200"}': 3,
    'signet_tokens_issued_total{grant="password"}': 1,
    'signet_tokens_issued_total{grant="refresh_token"}': 0,
    'signet_tokens_refused_total{reason="missing_token"}': 1,
    'signet_tokens_refused_total{reason="invalid_token"}': 1,
    'signet_tokens_refused_total{reason="invalid_credentials"}': 1,
    'signet_errors_total{code="invalid_token"}': 1,
    'signet_errors_total{code="internal"}': 0,
    signet_password_gate_wait_seconds_count: 3, // one hash to register, two logins
    signet_password_gate_running: 0,
    signet_password_gate_queue: 0,
    signet_verified_token_cache_hits_total: 3,
    signet_verified_token_cache_misses_total: 2,
    signet_verified_token_cache_entries: 1,
  }
  for (const [series, value] of Object.entries(expected)) t.equal(page.get(series), value, series)
  t.equal(page.has('signet_tokens_refused_total{reason="not_found"}'), false, 'only what is about a credential')
})

t.test('buckets add up, and a duration stands in seconds', async (t) => {
  const metrics = createMetrics()
  const config = { auth: 'public' } as const
  const routes = (app: App) => {
    app.get('/slow', { config }, async () => new Promise((resolve) => setTimeout(resolve, 30, 'x')))
    app.route({ method: ['PUT', 'PATCH'], url: '/both', config, handler: async () => 'x' })
  }
  const { app } = await startApp(t, { instrumentation: metrics, routes })
  await app.inject('/slow')
  await app.inject({ method: 'PATCH', url: '/both' })
  const page = await scrape(metrics)
  const both = [...page.keys()].filter((series) => series.includes('_count') && series.includes('/both'))
  t.same(both, ['signet_http_request_duration_seconds_count{method="PATCH",route="/both",status="200"}'])
  const of = (name: string, le = '') =>
    page.get(`signet_http_request_duration_seconds_${name}{${le}method="GET",route="/slow",status="200"}`) ?? Number.NaN
  const seconds = of('sum')
  t.ok(seconds > 0.025 && seconds < 30, `${seconds} s`)
  t.equal(of('bucket', 'le="0.025",'), 0)
  t.equal(of('bucket', 'le="+Inf",'), 1)
  const buckets = [...page].filter(([series]) => series.includes('_bucket') && series.includes('/slow'))
  t.same(
    buckets.map(([, value]) => value),
    buckets.map(([, value]) => value).toSorted((a, b) => a - b),
    'cumulative',
  )
})

t.test('every outcome of a refresh is counted by its name', async (t) => {
  const metrics = createMetrics()
  let clock = 1_800_000_000
  const { app, database } = await startApp(t, { instrumentation: metrics, now: () => clock })
  const { email } = await newUser(app)
  const login = await app.inject({ method: 'POST', url: '/v1/login', payload: { email, password: PASSWORD } })
  const refresh = (refresh_token: string) =>
    app.inject({ method: 'POST', url: '/v1/refresh', payload: { refresh_token } })
  const first = login.json().refresh_token
  const second = (await refresh(first)).json().refresh_token // rotated
  for (const token of [first, second]) await refresh(token) // repeated, rotated
  clock += 60
  await refresh(second) // retried
  for (const token of [first, second]) await refresh(token) // reused; refused: the session was ended
  await refresh(`srt_${'A'.repeat(80)}`) // forged
  await database.query('UPDATE sessions SET counter = 0, ended_at = NULL')
  await refresh(second) // ahead: the row went back
  const page = await scrape(metrics)
  const outcome = (name: string) => page.get(`signet_refresh_total{outcome="${name}"}`)
  t.same(['rotated', 'repeated', 'retried', 'ahead', 'reused', 'refused', 'forged'].map(outcome), [2, 1, 1, 1, 1, 1, 1])
  t.equal(page.get('signet_tokens_issued_total{grant="refresh_token"}'), 5)
  t.equal(page.get('signet_tokens_refused_total{reason="invalid_refresh_token"}'), 3)
})

t.test('whatever clients invent, the number of series stays', async (t) => {
  const metrics = createMetrics()
  const { app } = await startApp(t, { instrumentation: metrics })
  const { token } = await newUser(app)
  const flood = async (round: number) => {
    for (let i = 0; i < 60; i += 1) {
      const text = `${round}-${i}-${randomUUID()}`
      const method = (['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'] as const)[i % 7] ?? 'GET'
      await app.inject({
        method,
        url: `/${text}`,
        headers: { 'x-request-id': text, origin: `https://${text}.example` },
      })
      await app.inject({ method: 'DELETE', url: `/v1/sessions/${text}`, headers: bearer(token) })
      await app.inject({ url: `/v1/me?${text}`, headers: { authorization: `Bearer ${text}`, 'user-agent': text } })
      await app.inject({ method, url: `/docs/static/${text}` })
      await app.inject({ url: `/${'%'.repeat((i % 3) + 1)}${text}` })
      await app.inject({ method: 'POST', url: '/v1/refresh', payload: { refresh_token: text, [text]: 1 } })
    }
  }
  await flood(1)
  const before = await scrape(metrics)
  await flood(2)
  const after = await scrape(metrics)
  const own = (page: typeof after) => [...page.keys()].filter((series) => series.startsWith('signet_'))
  t.same(own(after), own(before))
  t.ok((after.get('signet_http_request_duration_seconds_count{method="any",route="unknown",status="404"}') ?? 0) >= 100)
  t.equal(after.get('signet_errors_total{code="malformed_request"}'), 120, 'what the router refuses counts too')
})

t.test('keys, and the age of the current one, follow the clock', async (t) => {
  const metrics = createMetrics()
  let clock = 1_800_000_000
  const { app, keyring, folder, database } = await startApp(t, {
    instrumentation: metrics,
    now: () => clock,
    ownKey: true,
  })
  const [first] = keyring.phases()
  clock = (first?.signFrom ?? 0) + 86_400
  const page = await scrape(metrics)
  t.equal(page.get('signet_current_key_age_seconds'), 86_400)
  t.same(
    ['standby', 'next', 'current', 'previous', 'retired', 'revoked'].map((phase) =>
      page.get(`signet_keys{phase="${phase}"}`),
    ),
    [1, 0, 1, 0, 0, 0],
  )
  const states = (page: Awaited<ReturnType<typeof scrape>>) =>
    ['ok', 'stale', 'outdated', 'failed'].map((state) => page.get(`signet_keyring_state{state="${state}"}`))
  t.same(states(page), [1, 0, 0, 0])

  const [entry] = await readKeyring(folder) // another server revoked it, and this folder does not know
  await createRevokedKeyStore(database).add([{ kid: String(entry?.kid), revokedAt: clock }])
  await keyring.reload()
  t.same(states(await scrape(metrics)), [0, 0, 1, 0])
  t.match((await app.inject('/health/ready')).json(), { status: 'ok', checks: { keyring: 'outdated' } })
})

t.test('the revocation set: its size, and its age as /health/ready tells it', async (t) => {
  const metrics = createMetrics()
  const { app } = await startApp(t, { instrumentation: metrics })
  const { token } = await newUser(app)
  t.equal((await scrape(metrics)).get('signet_revocations_entries'), 0)
  await app.inject({ method: 'POST', url: '/v1/logout', headers: { ...bearer(token), ...json }, payload: {} })
  const page = await scrape(metrics)
  t.equal(page.get('signet_revocations_entries'), 1)
  const age = page.get('signet_revocations_age_seconds') ?? Number.NaN
  const { revocations_age } = (await app.inject('/health/ready')).json()
  t.ok(age >= 0 && Math.abs(age - revocations_age) < 5, `${age} and ${revocations_age}`)
})

t.test('a store that is gone is counted, another fault is not', async (t) => {
  const metrics = createMetrics()
  let fault: Error | undefined
  const database = metrics.store({
    engine: 'sqlite',
    query: async () => (fault ? Promise.reject(fault) : []),
    transaction: async () => (fault ? Promise.reject(fault) : []),
    listen: () => () => undefined,
    waiting: () => 0,
    close: async () => undefined,
  })
  await database.query('SELECT 1')
  await database.query('  insert INTO x')
  await database.query('WITH x AS (SELECT 1) SELECT * FROM x')
  fault = storeUnavailable('gone')
  await t.rejects(database.query('SELECT 1'), { code: 'store_unavailable' })
  await t.rejects(database.transaction([]), { code: 'store_unavailable' })
  fault = new Error('UNIQUE')
  await t.rejects(database.query('INSERT INTO x'), { message: 'UNIQUE' })
  const page = await scrape(metrics)
  const failures = (operation: string) => page.get(`signet_store_failures_total{operation="${operation}"}`)
  const calls = (operation: string) =>
    page.get(`signet_store_query_duration_seconds_count{operation="${operation}"}`) ?? 0
  t.same(['select', 'insert', 'transaction'].map(failures), [1, 0, 1])
  t.same(['select', 'insert', 'other', 'transaction'].map(calls), [2, 2, 1, 1])
})

t.test('a timed database is the database, down to its errors and its listeners', async (t) => {
  const told: unknown[] = []
  const { database } = await startApp(t)
  const timed = timedDatabase(database, (call) => told.push(call.operation))
  t.same(await timed.query('SELECT $1 AS one', [1]), [{ one: 1 }])
  t.same(await timed.transaction([{ sql: 'SELECT 2 AS two' }]), [[{ two: 2 }]])
  await t.rejects(timed.query('SELECT * FROM nowhere'))
  t.same(told, ['select', 'transaction', 'select'])
  t.equal(timed.engine, database.engine)
})

t.test('a password that waits is seen waiting, and its wait is timed', async (t) => {
  const metrics = createMetrics()
  const { app } = await startApp(t, { instrumentation: metrics })
  const login = () => app.inject({ method: 'POST', url: '/v1/login', payload: { email: 'a@b.co', password: PASSWORD } })
  const logins = Promise.all(Array.from({ length: 12 }, login))
  let most = 0
  while (most === 0) {
    await turn()
    const page = await scrape(metrics)
    most = Math.max(most, page.get('signet_password_gate_queue') ?? 0)
    if (page.get('signet_password_gate_wait_seconds_count') === 12) break
  }
  t.ok(most > 0 && most < 12, `${most} waited`)
  await logins
  const page = await scrape(metrics)
  t.equal(page.get('signet_password_gate_wait_seconds_count'), 12)
  t.ok((page.get('signet_password_gate_wait_seconds_sum') ?? 0) > 0)
})

t.test('two servers in one process do not count for each other, and the process is watched too', async (t) => {
  const [one, two] = [createMetrics(), createMetrics()]
  const { app } = await startApp(t, { instrumentation: one })
  await startApp(t, { instrumentation: two })
  await newUser(app)
  t.equal((await scrape(one)).get('signet_tokens_issued_total{grant="password"}'), 1)
  t.equal((await scrape(two)).get('signet_tokens_issued_total{grant="password"}'), 0)
  const names = seriesNames(await scrape(two))
  for (const name of ['nodejs_eventloop_lag_p99_seconds', 'process_resident_memory_bytes', 'process_cpu_seconds_total'])
    t.ok(names.has(name), name)
})
