import { availableParallelism } from 'node:os'
import t from 'tap'
import { hashGate } from '../../src/accounts/passwords.ts'
import { createNotifications, notifiedDatabase } from '../../src/cluster/notified-database.ts'
import { createRestartPolicy, HEALTHY_UPTIME_MS, MAX_FAST_CRASHES } from '../../src/cluster/restart-policy.ts'
import { workerConfig } from '../../src/cluster/worker-config.ts'
import { loadConfig } from '../../src/config/config.ts'
import { openDatabase } from '../../src/db/open.ts'
import { createAggregateMetrics } from '../../src/observability/aggregate-metrics.ts'
import { createMetrics } from '../../src/observability/metrics.ts'
import { parsePage } from '../support/scrape.ts'

t.test('a worker is replaced after a pause that doubles, until there is no point in it', async (t) => {
  const next = createRestartPolicy()
  const fates = Array.from({ length: MAX_FAST_CRASHES }, () => next(0))
  t.same(fates, [{ after: 100 }, { after: 200 }, { after: 400 }, { after: 800 }, { after: 1600 }, 'give up'])
})

t.test('after one healthy run of a worker its earlier crashes no longer count', async (t) => {
  const next = createRestartPolicy()
  for (let i = 1; i < MAX_FAST_CRASHES; i += 1) next(HEALTHY_UPTIME_MS - 1)
  t.same(next(HEALTHY_UPTIME_MS), { after: 100 })
  t.same(next(0), { after: 100 })
})

t.test('each worker has its share of what the whole server may, rounded up, and what is off stays off', async (t) => {
  const DATABASE_URL = 'sqlite:./x.db'
  const env = { WORKERS: '4', MAX_CONNECTIONS: '0', PASSWORD_QUEUE: '2', DATABASE_POOL_SIZE: '10', DATABASE_URL }
  const config = loadConfig({ env })
  const share = workerConfig(config)
  t.match(share, { MAX_CONNECTIONS: 0, PASSWORD_QUEUE: 1, DATABASE_POOL_SIZE: 3, FEED_MAX_WAITERS: 250, WORKERS: 4 })
  t.same(workerConfig({ ...config, WORKERS: 1 }), { ...config, WORKERS: 1 })
})

t.test(
  'all workers together hash no more passwords at a time than there are cores, but each of them one',
  async (t) => {
    const cores = availableParallelism()
    const running = (WORKERS: number) => hashGate({ ...loadConfig({ env: {} }), WORKERS }).running
    t.equal(running(1), Math.min(cores, 3))
    for (const workers of [2, 3, 8].filter((count) => count <= cores)) t.ok(workers * running(workers) <= cores)
    t.equal(running(64 + cores), 1)
  },
)

t.test('a transaction that notifies is answered when the others know; one that fails tells nobody', async (t) => {
  const database = await openDatabase(loadConfig({ env: { DATABASE_URL: 'sqlite::memory:' } }))
  t.teardown(() => database.close())
  const told: string[] = []
  let know = () => {}
  const others = createNotifications((channel) => {
    told.push(channel)
    return new Promise((resolve) => (know = resolve))
  })
  const notified = notifiedDatabase(database, others)
  let answered = false
  const one = notified.transaction([{ sql: 'SELECT 1' }], 'news').then(() => (answered = true))
  while (told.length === 0) await new Promise(setImmediate)
  await notified.transaction([{ sql: 'SELECT 1' }])
  t.notOk(answered)
  know()
  await one
  await t.rejects(notified.transaction([{ sql: 'SELECT nothing' }], 'news'))
  t.same(told, ['news'])
  const deaf = notifiedDatabase(
    database,
    createNotifications(() => Promise.reject(new Error('gone'))),
  )
  t.same(await deaf.transaction([{ sql: 'SELECT 1 AS one' }], 'news'), [[{ one: 1 }]], 'it was committed')
})

t.test('news have arrived when everybody who subscribed has done with them, well or not', async (t) => {
  const { subscribe, arrived } = createNotifications(async () => undefined)
  let done = 0
  subscribe('a', async () => {
    await new Promise(setImmediate)
    done += 1
  })
  subscribe('a', () => {
    throw new Error('no store')
  })
  const stop = subscribe('b', () => (done += 10))
  await arrived('a')
  t.equal(done, 1)
  await arrived()
  t.equal(done, 12)
  stop()
  await arrived('b')
  t.equal(done, 12)
})

t.test(
  'the page of all workers: sums, the larger one where a sum means nothing, and nothing falls by a death',
  async (t) => {
    const workers = new Map([1, 2].map((id) => [id, createMetrics()]))
    const silent = new Set<number>()
    const totals = createAggregateMetrics(async () => {
      const asked = [...workers].filter(([id]) => !silent.has(id))
      return new Map(
        await Promise.all(asked.map(async ([id, { registry }]) => [id, await registry.getMetricsAsJSON()] as const)),
      )
    })
    for (const [id, metrics] of workers) {
      for (let i = 0; i < id; i += 1) metrics.refused('invalid_token', 'signature')
      metrics.gateWaited(id)
      metrics.state({
        keyring: { phases: () => [{ phase: 'current', signFrom: 0 }], state: () => (id === 1 ? 'ok' : 'stale') },
        revocations: { age: () => id, size: 5, historyChanges: id },
        cache: { hits: id, misses: 0, size: 7 },
        outbox: { counts: async () => ({ waiting: 3, sent: 2, dropped: 1, dead: 0, oldestWaitingSeconds: 9 }) },
        gate: () => ({ running: 1, waiting: 0 }),
        now: () => 100,
      })
    }
    const expected = {
      'signet_errors_total{code="invalid_token"}': 3,
      'signet_refused_total{reason="signature"}': 3,
      signet_password_gate_wait_seconds_sum: 3,
      signet_password_gate_wait_seconds_count: 2,
      signet_verified_token_cache_hits_total: 3,
      signet_revocations_history_changes_total: 3,
    }
    const gauges = {
      signet_workers: 2,
      signet_revocations_age_seconds: 2,
      signet_revocations_entries: 5,
      signet_current_key_age_seconds: 100,
      'signet_keys{phase="current"}': 1,
      'signet_keyring_state{state="stale"}': 1,
      signet_password_gate_running: 2,
      'signet_messages{state="waiting"}': 3,
      signet_messages_oldest_seconds: 9,
      signet_worker_deaths_total: 0,
    }
    const page = async () => Object.fromEntries(parsePage(await totals.metrics()))
    t.match(await page(), { ...expected, ...gauges })
    silent.add(1)
    t.match(await page(), { ...expected, ...gauges }, 'one that does not answer is shown as it was')
    for (const id of [1, 2]) {
      totals.retire(id)
      workers.delete(id)
      t.match(await page(), { ...expected, signet_worker_deaths_total: id })
    }
    t.equal((await page()).signet_workers, undefined)
  },
)
