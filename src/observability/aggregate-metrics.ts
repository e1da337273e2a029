import { AggregatorRegistry, Registry } from 'prom-client'
import { WORKER_DEATHS } from './worker-deaths.ts'

/** All metrics of one process at one moment, as prom-client writes them. */
export type Collected = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

interface Totals {
  readonly contentType: string
  /** The page of all processes together. */
  metrics(): Promise<string>
  /** The process has died: what it counted goes on counting, or every sum would fall and look like a restart. */
  retire(id: number): void
}

/**
 * One page for several processes. Counters and histograms are summed; each gauge says by its `aggregator` what makes sense of it.
 *
 * @param collect asks every process; one that does not answer is left out, and shown as it was when it last did
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

/** prom-client would average the delays of the event loops, and three idle workers would hide one that is stuck. */
function worst(metric: Collected[number]): Collected[number] {
  return metric.aggregator === 'average' ? { ...metric, aggregator: 'max' } : metric
}

/** Each process says 0 for itself; only the one above them knows. */
function deaths(value: number): object[] {
  return [{ ...WORKER_DEATHS, type: 'counter', aggregator: 'sum', values: [{ value, labels: {} }] }]
}
