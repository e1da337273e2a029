import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import { parsePage } from '../../support/scrape.ts'
import { runScript } from '../../support/scripts.ts'
import { isolated, post, startServer } from '../../support/service.ts'

const metricsUrl = (output: string) => /metrics at (http:[^"\s]+)/.exec(output)?.[1] ?? ''

/** Prints every loaded module that only metrics and traces need. */
const SPY = `data:text/javascript,${encodeURIComponent(
  "import{registerHooks}from'node:module';registerHooks({resolve(s,c,n){if(/prom-client|fastify.otel|opentelemetry.sdk/.test(s))process.stderr.write('LOADED '+s+'\\n');return n(s,c)}})",
)}`

t.test('METRICS_PORT opens a port of its own, and closes with the server', async (t) => {
  const server = await startServer(t, { METRICS_PORT: '0', NODE_OPTIONS: `--import=${SPY}` })
  t.match(server.output(), 'LOADED prom-client')
  t.notMatch(server.output(), 'LOADED @fastify/otel')
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
})

t.test('a port in use refuses the boot by name', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  const refused = await runScript('src/server.ts', [], { ...(await isolated(t)), METRICS_PORT: String(port) })
  t.match(refused, {
    code: 1,
    stderr: new RegExp(`^signet: error: METRICS_PORT: ${port} on 127.0.0.1 is in use\nhint: [^\n]+\n$`),
  })
  const foreign = { ...(await isolated(t)), METRICS_PORT: '0', METRICS_HOST: '192.0.2.1' }
  t.match(await runScript('src/server.ts', [], foreign), { code: 1, stderr: /METRICS_HOST, METRICS_PORT: can't/ })
})
