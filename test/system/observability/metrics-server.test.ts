import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import { listenMetrics } from '../../../src/observability/metrics-server.ts'
import { isolated, post, run, startServer } from '../../support/process.ts'
import { parsePage } from '../../support/scrape.ts'

const metricsUrl = (output: string) => /metrics at (http:[^"\s]+)/.exec(output)?.[1] ?? ''

t.test('METRICS_PORT opens a port of its own, and closes with the server', async (t) => {
  const server = await startServer(t, { METRICS_PORT: '0' })
  const url = metricsUrl(server.output())
  t.match(url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
  t.not(new URL(url).port, new URL(server.url).port)

  await post(`${server.url}/v1/login`, { email: 'a@b.co', password: 'whatever it may be' })
  const reply = await fetch(url)
  t.equal(reply.status, 200)
  t.match(reply.headers.get('content-type'), 'text/plain; version=0.0.4')
  const page = parsePage(await reply.text())
  t.equal(page.get('signet_tokens_refused_total{reason="invalid_credentials"}'), 1)
  t.equal(page.get('signet_keys{phase="current"}'), 1)

  t.equal((await fetch(`${server.url}/metrics`)).status, 404, 'the port of the API does not tell')
  for (const path of ['/', '/v1/me', '/metrics/x', '/health/live'])
    t.equal((await fetch(new URL(path, url))).status, 404)
  const refused = await fetch(url, { method: 'POST', body: 'x' })
  t.equal(refused.status, 405)
  t.equal(refused.headers.get('allow'), 'GET, HEAD')
  const head = await fetch(url, { method: 'HEAD' })
  t.equal(head.status, 200)
  t.equal(await head.text(), '')

  server.child.kill('SIGTERM')
  t.match(await server.finished, { code: 0 })
  await t.rejects(fetch(url))
})

t.test('without METRICS_PORT there is no port and nothing is loaded for it', async (t) => {
  const server = await startServer(t, { NODE_OPTIONS: `--import=${SPY}` })
  t.equal(metricsUrl(server.output()), '')
  t.notMatch(server.output(), 'LOADED')
  const watched = await startServer(t, { NODE_OPTIONS: `--import=${SPY}`, METRICS_PORT: '0' })
  t.match(watched.output(), 'LOADED prom-client', 'the spy sees')
  t.notMatch(watched.output(), 'LOADED @fastify/otel')
})

/** Tells of every module that is loaded for watching only. */
const SPY = `data:text/javascript,${encodeURIComponent(
  "import{registerHooks}from'node:module';registerHooks({resolve(s,c,n){if(/prom-client|fastify.otel|opentelemetry.sdk/.test(s))process.stderr.write('LOADED '+s+'\\n');return n(s,c)}})",
)}`

t.test('a port in use refuses the boot by name', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  const refused = await run(t, 'src/server.ts', [], { ...(await isolated(t)), METRICS_PORT: String(port) }).finished
  t.match(refused, {
    code: 1,
    stderr: new RegExp(`^signet: error: METRICS_PORT: ${port} on 127.0.0.1 is in use\nhint: [^\n]+\n$`),
  })
  const foreign = { ...(await isolated(t)), METRICS_PORT: '0', METRICS_HOST: '192.0.2.1' }
  t.match(await run(t, 'src/server.ts', [], foreign).finished, { code: 1, stderr: /METRICS_HOST, METRICS_PORT: can't/ })
})

t.test('many who ask at once share one page, and a page that fails is a 500 that tells nothing', async (t) => {
  let made = 0
  let finish = (_text: string) => {}
  const faults: unknown[] = []
  const page = {
    contentType: 'text/plain',
    metrics: () => {
      made += 1
      if (made > 1) return Promise.reject(new Error('a secret'))
      return new Promise<string>((resolve) => {
        finish = resolve
      })
    },
  }
  const server = await listenMetrics({ host: '127.0.0.1', port: 0, page, report: (error) => faults.push(error) })
  t.teardown(server.close)
  let asked = 0
  const replies = Promise.all(
    Array.from({ length: 5 }, async () => {
      const reply = fetch(server.url)
      asked += 1
      return (await reply).text()
    }),
  )
  while (asked < 5 || made === 0) await new Promise(setImmediate)
  await fetch(new URL('/elsewhere', server.url)) // by its answer the five are in too
  finish('page')
  t.same(new Set(await replies), new Set(['page']))
  t.equal(made, 1)

  const failed = await fetch(server.url)
  t.equal(failed.status, 500)
  t.notMatch(await failed.text(), 'secret')
  t.match(faults, [{ message: 'a secret' }])
})
