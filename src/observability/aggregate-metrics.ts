import { AggregatorRegistry, Registry } from 'prom-client'
import { WORKER_DEATHS } from './worker-deaths.ts'

/** All metrics of one process at one moment, in the format of prom-client. */
export type Collected = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

interface Totals {
  readonly contentType: string
  /** The metrics of all processes on one page. */
  metrics(): Promise<string>
  /**
   * Call it when a process has died. Its counters are kept in the sums: a sum that falls would look like a restart of
   * the server.
   */
  retire(id: number): void
}

/**
 * One page of metrics for several processes. Counters and histograms are summed; each gauge names its own way by its
 * `aggregator`.
 *
 * @param collect asks every process; for one that does not answer, its last values are shown
 */
export function createAggregateMetrics(collect: () => Promise<ReadonlyMap<number, Collected>>): Totals {
  const latest = new Map<number, Collected>()
  const dead = new Set<number>()
  const retired: Collected[] = []

  return {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    async metrics() {
      for (const [id, collected] of await collect()) if (!dead.has(id)) latest.set(id, collected.map(worst))
      if (retired.length > 1) retired.unshift(await AggregatorRegistry.aggregate(retired.splice(0)).getMetricsAsJSON())
      return AggregatorRegistry.aggregate([...latest.values(), ...retired, deaths(dead.size)]).metrics()
    },
    retire(id) {
      const counted = latest.get(id)?.filter(({ type }) => /^(counter|histogram)$/.test(String(type)))
      if (counted !== undefined) retired.push(counted)
      dead.add(id)
      latest.delete(id)
    },
  }
}

/** prom-client would average the event-loop delays, and three idle workers would hide one that is stuck. */
function worst(metric: Collected[number]): Collected[number] {
  return metric.aggregator === 'average' ? { ...metric, aggregator: 'max' } : metric
}

/** Each process reports 0 for itself; only the primary knows the number. */
function deaths(value: number): object[] {
  return [{ ...WORKER_DEATHS, type: 'counter', aggregator: 'sum', values: [{ value, labels: {} }] }]
}
