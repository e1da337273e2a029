import { readFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { createMetrics } from '../../src/observability/metrics.ts'
import { newUser, startApp } from '../support/app.ts'
import { scrape, seriesNames } from '../support/scrape.ts'

// Alerts that name a metric which does not exist never fire, and nobody notices: each name is held against a real
// scrape.

const file = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')

/** `up` is Prometheus' own. */
const NOT_OURS = new Set(['up'])

const metrics = createMetrics()
const { app } = await startApp(t, { instrumentation: metrics })
await newUser(app)
const page = await scrape(metrics)
const served = seriesNames(page)

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string }
}
const rules: Rule[] = parse(await file('scripts/monitoring/alerts.yml')).groups.flatMap(
  (group: { rules: Rule[] }) => group.rules,
)
const dashboard = JSON.parse(await file('scripts/monitoring/dashboard.json'))
const queries: string[] = dashboard.panels.flatMap((panel: { targets: { expr: string }[] }) =>
  panel.targets.map(({ expr }) => expr),
)

/** Metrics of an expression with the labels that it asks of each. */
function asked(expr: string): { name: string; labels: [name: string, operator: string, value: string][] }[] {
  const found = [...expr.matchAll(/\b((?:signet|nodejs|process)_\w+|up)\b(?:\{([^}]*)\})?/g)]
  return found.map(([, name = '', selector = '']) => ({
    name,
    labels: [...selector.matchAll(/(\w+)(=~|!=|=)"([^"]*)"/g)].map(([, label = '', operator = '', value = '']) => [
      label,
      operator,
      value,
    ]),
  }))
}

for (const { alert, expr } of rules) t.test(`alert ${alert} asks for what there is`, async (t) => judge(t, expr))
for (const expr of queries)
  t.test(`the dashboard asks for what there is: ${expr.slice(0, 60)}`, async (t) => judge(t, expr))

function judge(t: Test, expr: string): void {
  const metrics = asked(expr)
  t.ok(metrics.length > 0, 'it asks for something')
  for (const { name, labels } of metrics) {
    t.ok(served.has(name) || NOT_OURS.has(name), `${name} is served`)
    for (const [label, operator, value] of labels) {
      if (label === 'job' || label === 'instance') continue // added by Prometheus
      const exists = [...page.keys()].some(
        (series) =>
          series.startsWith(`${name}{`) && series.includes(`${label}="${operator === '=' ? `${value}"` : ''}`),
      )
      t.ok(exists, `${name} has ${label}${operator}${value}`)
    }
  }
  t.equal(expr.split('(').length, expr.split(')').length, 'its parentheses are balanced')
}

t.test('what is served is shown: every metric of ours is on the dashboard', async (t) => {
  const shown = new Set(queries.flatMap(asked).map(({ name }) => name.replace(/_(bucket|sum|count)$/, '')))
  for (const name of served) {
    if (name.startsWith('signet_')) t.ok(shown.has(name.replace(/_(bucket|sum|count)$/, '')), name)
  }
})

t.test('alerts have a name of their own, a severity and a sentence', async (t) => {
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const { alert, labels, annotations } of rules) {
    t.match(labels.severity, /^(critical|warning)$/, alert)
    t.ok(annotations.summary.length > 20, alert)
  }
})

t.test('the table of metrics is the scrape, both ways, with the names of the labels', async (t) => {
  const [, section = ''] = (await file('scripts/monitoring/README.md')).split(/^## Metrics$/m)
  const rows = section.split(/^#+ /m)[0]?.matchAll(/^\| `(signet_\w+)(?:\{([\w,]+)\})?` \|/gm) ?? []
  const listed = [...rows].map(([, name, labels = '']) => `${name}{${labels}}`)
  const real = (await metrics.registry.getMetricsAsJSON())
    .filter(({ name }) => name.startsWith('signet_'))
    .map(({ name, values }) => {
      const labels = Object.keys((values as { labels: object }[])[0]?.labels ?? {}).filter((label) => label !== 'le')
      return `${name}{${labels}}`
    })
  t.same(listed.toSorted(), real.toSorted())
})
