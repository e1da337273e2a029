import { type Aggregator, Counter, collectDefaultMetrics, Gauge, Histogram, type Metric, Registry } from 'prom-client'
import type { Phase } from '../keys/keyring.ts'
import type { KeyringState } from '../keys/live-keyring.ts'
import { REFRESH_OUTCOMES } from '../sessions/refresh.ts'
import { VERSION } from '../version.ts'
import { GRANTS, type Instrumentation, type Sources } from './instrumentation.ts'
import { registerMessages } from './message-metrics.ts'
import { registerRefusals } from './refusal-metrics.ts'
import { BOUNDS, createRequestTimes, type Sample } from './request-times.ts'
import { OPERATIONS, timedDatabase } from './timed-database.ts'
import { WORKER_DEATHS } from './worker-deaths.ts'

const PHASES: readonly Phase[] = ['standby', 'next', 'current', 'previous', 'retired', 'revoked']
const KEYRING_STATES: readonly KeyringState[] = ['ok', 'stale', 'outdated', 'failed']

export interface Metrics extends Instrumentation {
  readonly registry: Registry
}

/**
 * The Prometheus metrics of one server, in a registry of its own. The values of every label come from a list or from
 * the table of routes, never from a client, so the number of series is bounded. What every request or a flood of bad
 * tokens would touch is a plain number, which is read when the metrics are scraped.
 */
export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  registerProcess(registers)
  const times = createRequestTimes()
  registry.registerMetric(
    requestHistogram(
      'signet_http_request_duration_seconds',
      'Answers by route and status, and how long they took',
      () => times.read(),
    ),
  )
  return {
    registry,
    requests: times.observe,
    refused: registerRefusals(registry),
    state: (sources) => registerState(registry, sources),
    ...sessionMetrics(registry),
    ...storeMetrics(registry),
  }
}

function registerProcess(registers: Registry[]): void {
  const build = { name: 'signet_build_info', help: 'Version of Signet', labelNames: ['version'] }
  new Gauge({ ...build, aggregator: 'first', registers }).set({ version: VERSION }, 1)
  new Gauge({ name: 'signet_workers', help: 'Processes that serve', registers }).set(1)
  new Counter({ ...WORKER_DEATHS, registers }).inc(0)
}

function sessionMetrics(registry: Registry): Pick<Instrumentation, 'issuing' | 'refreshed' | 'gateWaited'> {
  const registers = [registry]
  const issued = new Counter({
    name: 'signet_tokens_issued_total',
    help: 'Access tokens issued, by grant',
    labelNames: ['grant'],
    registers,
  })
  const refreshes = new Counter({
    name: 'signet_refresh_total',
    help: 'Refresh tokens presented, by what they led to',
    labelNames: ['outcome'],
    registers,
  })
  const wait = new Histogram({
    name: 'signet_password_gate_wait_seconds',
    help: 'How long a password waited for its turn to be hashed',
    buckets: [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  // A series that starts with its first event hides that event from rate(), so each series exists from the start.
  for (const grant of GRANTS) issued.inc({ grant }, 0)
  for (const outcome of REFRESH_OUTCOMES) refreshes.inc({ outcome }, 0)
  return {
    issuing:
      (grant, issue) =>
      async (...args) => {
        const result = await issue(...args)
        issued.inc({ grant })
        return result
      },
    refreshed: (outcome) => refreshes.inc({ outcome }),
    gateWaited: (seconds) => wait.observe(seconds),
  }
}

function storeMetrics(registry: Registry): Pick<Instrumentation, 'store'> {
  const registers = [registry]
  const labelNames = ['operation']
  const duration = new Histogram({
    name: 'signet_store_query_duration_seconds',
    help: 'How long the store took, by kind of statement',
    labelNames,
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  })
  const failures = new Counter({
    name: 'signet_store_failures_total',
    help: 'Calls that the store could not be reached for, or could not write',
    labelNames,
    registers,
  })
  for (const operation of OPERATIONS) failures.inc({ operation }, 0)
  return {
    store: (database) =>
      timedDatabase(database, ({ operation, seconds, reached }) => {
        duration.observe({ operation }, seconds)
        if (!reached) failures.inc({ operation })
      }),
  }
}

function registerState(registry: Registry, sources: Sources): void {
  const { revocations, cache, gate } = sources
  const gauge = (name: string, help: string, read: () => number, aggregator: Aggregator = 'sum') =>
    new Gauge({
      name,
      help,
      aggregator,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  gauge('signet_password_gate_running', 'Passwords being hashed', () => gate().running)
  gauge('signet_password_gate_queue', 'Passwords that wait for their turn', () => gate().waiting)
  gauge('signet_revocations_entries', 'Entries of the revocation set', () => revocations.size, 'max')
  const age = () => revocations.age()
  gauge('signet_revocations_age_seconds', 'Time since the revocation set was last complete', age, 'max')
  const changes = 'signet_revocations_history_changes_total'
  counter(changes, 'Times that the store went back', () => revocations.historyChanges)
  counter('signet_verified_token_cache_hits_total', 'Tokens found verified', () => cache.hits)
  counter('signet_verified_token_cache_misses_total', 'Tokens that had to be verified', () => cache.misses)
  gauge('signet_verified_token_cache_entries', 'Tokens held as verified', () => cache.size)
  registerKeys(registry, sources)
  registerMessages(registry, sources)
}

function registerKeys(registry: Registry, { keyring, now }: Sources): void {
  const registers = [registry]
  new Gauge({
    name: 'signet_current_key_age_seconds',
    aggregator: 'max',
    help: 'Time since the current key began to sign; NaN when none signs',
    registers,
    collect() {
      const current = keyring.phases().find(({ phase }) => phase === 'current')
      this.set(current === undefined ? Number.NaN : now() - current.signFrom)
    },
  })
  new Gauge({
    name: 'signet_keys',
    aggregator: 'max',
    help: 'Signing keys by phase',
    labelNames: ['phase'],
    registers,
    collect() {
      const keys = keyring.phases()
      for (const phase of PHASES) this.set({ phase }, keys.filter((key) => key.phase === phase).length)
    },
  })
  new Gauge({
    name: 'signet_keyring_state',
    aggregator: 'max',
    help: 'stale: the keys folder can not be used. outdated: it is older than a revocation. failed: no token can be issued',
    labelNames: ['state'],
    registers,
    collect() {
      for (const state of KEYRING_STATES) this.set({ state }, keyring.state() === state ? 1 : 0)
    },
  })
}

/** Read from sums: prom-client's Histogram accepts observations only. A registry needs just these members. */
function requestHistogram(name: string, help: string, read: () => Sample[]): Metric {
  const get = async () => ({
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    values: read().flatMap(({ labels, cumulative, sum }) => [
      ...cumulative.map((value, index) => ({
        metricName: `${name}_bucket`,
        labels: { le: BOUNDS[index] ?? '+Inf', ...labels },
        value,
      })),
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: cumulative.at(-1) ?? 0 },
    ]),
  })
  return { name, get } as unknown as Metric
}
