import t from 'tap'
import { loadConfig } from '../../src/config/config.ts'

const ASKS: [env: Record<string, string>, traces: boolean][] = [
  [{}, false],
  [{ OTEL_SERVICE_NAME: 'x' }, false],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: '' }, false],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }, true],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c:4318/v1/traces' }, true],
  [{ OTEL_TRACES_EXPORTER: 'console' }, true],
  [{ OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }, false],
  [{ OTEL_SDK_DISABLED: 'TRUE', OTEL_TRACES_EXPORTER: 'otlp' }, false],
  [{ OTEL_SDK_DISABLED: 'false', OTEL_TRACES_EXPORTER: 'otlp' }, true],
]
t.test('what asks for traces, after the specification of OpenTelemetry', async (t) => {
  for (const [env, traces] of ASKS) t.equal(loadConfig({ env }).TRACES, traces, JSON.stringify(env))
  t.throws(() => loadConfig({ env: { OTEL_EXPORTER_OTLP_ENDPONT: 'http://c' } }), /OTEL_EXPORTER_OTLP_ENDPOINT\?/)
  const STANDARD = ['OTEL_METRICS_EXPORTER', 'OTEL_LOGS_EXPORTER', 'OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_TRACES_SAMPLER']
  t.ok(loadConfig({ env: Object.fromEntries(STANDARD.map((name) => [name, 'x'])) }), 'other standard ones pass')
})
