import { readFile } from 'node:fs/promises'
import t from 'tap'
import packageJson from '../../../package.json' with { type: 'json' }
import { bearer, PASSWORD } from '../../support/app.ts'
import { isolated, post, run, startServer } from '../../support/service.ts'
import { startCollector } from './collector.ts'

interface Span {
  readonly name: string
  readonly traceId: string
  readonly parentSpanId?: string
  readonly attributes: { readonly key: string; readonly value: Record<string, unknown> }[]
}

const account = { email: 'ada@example.com', password: PASSWORD }
const TRACE = '0af7651916cd43dd8448eb211c80319c'

t.test(
  'the standard variables are enough: requests become spans at the collector, without a secret in them',
  async (t) => {
    const collector = await startCollector(t)
    const server = await startServer(t, {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    })
    await post(`${server.url}/v1/accounts`, account)
    const { access_token, refresh_token } = (await (await post(`${server.url}/v1/login`, account)).json()) as Record<
      string,
      string
    >
    const token = String(access_token)
    const me = await fetch(`${server.url}/v1/me?access_token=${token}`, {
      headers: { ...bearer(token), traceparent: `00-${TRACE}-b7ad6b7169203331-01` },
    })
    t.equal(me.status, 200)
    await fetch(`${server.url}/nowhere/${token}`)
    await fetch(`${server.url}/v1/me`, { headers: { ...bearer(`${token}x`), cookie: `a=${refresh_token}` } })
    await post(`${server.url}/v1/refresh`, { refresh_token: `${refresh_token}x` })
    server.child.kill('SIGTERM')
    t.match(await server.finished, { code: 0 }, 'the last spans are sent before the end')

    t.same([...new Set(collector.posts.map(({ path }) => path))], ['/v1/traces'], 'traces and nothing else')
    const text = collector.posts.map(({ body }) => body).join('\n')
    const batches = collector.posts.flatMap(({ body }) => JSON.parse(body).resourceSpans)
    const spans: Span[] = batches.flatMap(({ scopeSpans }) =>
      scopeSpans.flatMap(({ spans }: { spans: Span[] }) => spans),
    )
    const attribute = (span: Span | undefined, name: string) =>
      Object.values(span?.attributes.find(({ key }) => key === name)?.value ?? {})[0]

    const mine = spans.find(({ name, traceId }) => name === 'GET /v1/me' && traceId === TRACE)
    t.ok(mine, 'it goes on with the trace of the caller')
    t.equal(mine?.parentSpanId, 'b7ad6b7169203331')
    t.equal(attribute(mine, 'http.response.status_code'), 200)
    t.equal(attribute(mine, 'signet.request_id'), me.headers.get('x-request-id'), 'the log lines can be found')
    t.equal(attribute(mine, 'url.path'), '/v1/me')
    t.ok(spans.some(({ traceId, name }) => traceId === TRACE && name.startsWith('handler')))
    for (const name of ['POST /v1/login', 'POST /v1/accounts', 'POST /v1/refresh', 'GET unknown'])
      t.ok(
        spans.some((span) => span.name === name),
        name,
      )

    t.match(text, '"service.name","value":{"stringValue":"signet"}')
    t.match(text, 'deployment.environment.name')
    const secrets = {
      token: token.slice(0, 40),
      payload: token.split('.')[1] ?? '',
      refresh: String(refresh_token).slice(0, 20),
    }
    for (const [name, secret] of Object.entries({ ...secrets, password: PASSWORD, email: account.email })) {
      t.ok(secret.length > 10)
      t.notOk(text.includes(secret), `no ${name}`)
    }
  },
)

t.test('a collector that never answers holds neither the answers nor the end up', async (t) => {
  const collector = await startCollector(t, { silent: true })
  const server = await startServer(t, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
  t.equal((await fetch(`${server.url}/health/live`)).status, 200)
  server.child.kill('SIGTERM')
  t.match(await server.finished, { code: 0 })
})

t.test('without the packages the boot is refused, and the hint installs what the tests ran with', async (t) => {
  for (const missing of ['@fastify/otel', '@opentelemetry/sdk-node']) {
    const hide = `import{registerHooks}from'node:module';registerHooks({resolve(s,c,n){if(s==='${missing}')throw Object.assign(new Error(s),{code:'ERR_MODULE_NOT_FOUND'});return n(s,c)}})`
    const { code, stderr } = await run(t, 'src/server.ts', [], {
      ...(await isolated(t)),
      OTEL_TRACES_EXPORTER: 'otlp',
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hide)}`,
    }).finished
    t.equal(code, 1)
    t.match(
      stderr,
      `signet: error: traces: OTEL_* settings ask for them, and ${missing} is not installed\nhint: npm install`,
    )
    t.equal(stderr.trimEnd().split('\n').length, 2)
  }
  const source = await readFile(new URL('../../../src/observability/traces.ts', import.meta.url), 'utf8')
  const page = await readFile(new URL('../../../scripts/monitoring/README.md', import.meta.url), 'utf8')
  for (const name of ['@fastify/otel', '@opentelemetry/api', '@opentelemetry/sdk-node'] as const)
    for (const text of [source, page]) t.ok(text.includes(`${name}@${packageJson.devDependencies[name]}`), name)
})
