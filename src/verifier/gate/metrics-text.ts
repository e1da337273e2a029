import type { Verifier } from '../exports.ts'
import type { Gate } from './gate.ts'

interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  /** Labels as they are written, and the value. */
  readonly samples: readonly (readonly [labels: string, value: number])[]
}

/** The counters of the gate in the text format of Prometheus, version 0.0.4. */
export function metricsText(gate: Gate, verifier: Verifier): string {
  const { cacheHits, cacheMisses, cacheEntries, revocations, refused } = verifier.stats()
  const { heapUsed, rss } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const one = (name: string, type: Family['type'], help: string, value: number): Family => ({
    ...{ name, type, help },
    samples: [['', value]],
  })
  const families: Family[] = [
    {
      ...{ name: 'signet_gate_answers_total', type: 'counter', help: 'Answers to gateways by status' },
      samples: [...gate.answers].map(([status, count]) => [`{status="${status}"}`, count]),
    },
    {
      ...{ name: 'signet_refused_total', type: 'counter', help: 'Tokens and their callers refused, by reason' },
      samples: Object.entries(refused).map(([reason, count]) => [`{reason="${reason}"}`, count]),
    },
    one('signet_gate_ready', 'gauge', '1 when keys and revocations are there', gate.health.isReady ? 1 : 0),
    one('signet_revocations', 'gauge', 'Revocations in memory', revocations),
    one('signet_verified_token_cache_hits_total', 'counter', 'Tokens that were seen before', cacheHits),
    one('signet_verified_token_cache_misses_total', 'counter', 'Tokens that were new', cacheMisses),
    one('signet_verified_token_cache_entries', 'gauge', 'Tokens that are remembered', cacheEntries),
    one('process_cpu_seconds_total', 'counter', 'Processor time', (user + system) / 1e6),
    one('process_resident_memory_bytes', 'gauge', 'Memory of the process', rss),
    one('nodejs_heap_size_used_bytes', 'gauge', 'Memory of JavaScript', heapUsed),
  ]
  return families.map(written).join('')
}

function written({ name, type, help, samples }: Family): string {
  const lines = samples.map(([labels, value]) => `${name}${labels} ${value}\n`)
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
}
