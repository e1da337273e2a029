import { readFile } from 'node:fs/promises'
import type { RouteOptions } from 'fastify'
import t from 'tap'
import packageJson from '../../package.json' with { type: 'json' }
import { loadConfig } from '../../src/config/config.ts'
import { Settings } from '../../src/config/settings.ts'
import { ERRORS, errorRow } from '../../src/errors/app-error.ts'
import { OAUTH_ERRORS, oauthErrorRow } from '../../src/errors/oauth-error.ts'
import { REFUSALS } from '../../src/errors/refusals.ts'
import { createMetrics } from '../../src/observability/metrics.ts'
import { startApp } from '../support/app.ts'
import { scrape } from '../support/scrape.ts'

// The tables of the pages are promises: each is held against the code, row by row, both ways.

const MAX_COLUMNS = 120

const read = (page: string) => readFile(new URL(`../../${page}`, import.meta.url), 'utf8')

/** The rows of the table under a heading of a page, without its head. */
async function rows(page: string, heading: string): Promise<string[]> {
  const section = (await read(page)).split(new RegExp(`^#+ ${heading}$`, 'm'))[1]?.split(/^#+ /m)[0] ?? ''
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
}

t.test('the list of settings is the schema', async (t) => {
  const expected = Object.entries(Settings.properties).map(([name, schema]) => {
    const standard = schema.default === undefined ? '' : `, default \`${schema.default}\``
    return `- \`${name}\`${standard}: ${schema.description}`
  })
  const [, section = ''] = (await read('scripts/README.md')).split(/^## Settings$/m)
  const items = section.replace(/\n {2}(?=\S)/g, ' ').split('\n') // an item goes on in lines that are indented
  t.same(
    items.filter((line) => line.startsWith('- ')),
    expected,
  )
})

t.test('the table of error codes is the one in app-error.ts', async (t) => {
  const expected = (Object.keys(ERRORS) as (keyof typeof ERRORS)[]).map((code) => {
    const { status, title } = errorRow(code)
    return `| \`${code}\` | ${status} | ${title.replaceAll('<', '&lt;')} |`
  })
  t.same(await rows('src/http/README.md', 'Error codes'), expected)
})

t.test('the reasons of refusals are one list: in the metrics, on the page, and in refusals.ts', async (t) => {
  const named = (await rows('scripts/monitoring/README.md', 'Reasons')).map((row) => /^\| `(\w+)` \|/.exec(row)?.[1])
  t.same(named, REFUSALS, 'the table, in the order of the checks')
  const series = [...(await scrape(createMetrics())).keys()].filter((name) => name.startsWith('signet_refused_total{'))
  t.same(
    series.map((name) => /^signet_refused_total\{reason="(\w+)"\}$/.exec(name)?.[1]),
    REFUSALS,
    'a series is there before its first event, and no other',
  )
  t.equal(new Set(REFUSALS).size, REFUSALS.length)
})

t.test('the table of OAuth errors is the one in oauth-error.ts', async (t) => {
  const expected = (Object.keys(OAUTH_ERRORS) as (keyof typeof OAUTH_ERRORS)[]).map((code) => {
    const { status, description } = oauthErrorRow(code)
    return `| \`${code}\` | ${status} | ${description} |`
  })
  t.same(await rows('src/http/README.md', 'OAuth error codes'), expected)
})

t.test('the table of routes is what the server answers, and the open ones are these and no others', async (t) => {
  const routes: RouteOptions[] = []
  await startApp(t, { onRoute: (route) => void routes.push(route) })
  const all = routes.filter(({ method, url }) => method !== 'HEAD' && url !== '*')
  const isPage = ({ url }: RouteOptions) => url === '/docs' || url.startsWith('/docs/')
  const found = all
    .filter((route) => !isPage(route))
    .map(({ method, url, config, schema }) => {
      const row = (summary = '') => `| \`${method} ${url}\` | ${config?.auth ?? 'token'} | ${summary} |`
      const whole = row(schema?.summary)
      // A row is one line: what follows a semicolon stands in /openapi.json.
      return whole.length <= MAX_COLUMNS ? whole : row(schema?.summary?.split(';')[0])
    })
  const listed = (await rows('src/http/README.md', 'Routes')).filter((row) => !row.includes('`GET /docs`'))
  t.same(listed.toSorted(), found.toSorted())
  t.ok(
    all.filter(isPage).every(({ config }) => config?.auth === 'public'),
    'the docs page and its files',
  )
})

t.test('the table of audit events is the type AuditEvent', async (t) => {
  const events = [...(await read('src/audit/audit.ts')).matchAll(/^ {2}\| '(\w+)'$/gm)].map(([, name]) => name)
  const listed = (await rows('scripts/README.md', 'The audit trail')).flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name),
  )
  t.ok(events.includes('login_failed'))
  t.same(listed.toSorted(), events.toSorted())
})

t.test('every dependency has its reason, and what is listed is one', async (t) => {
  const names = [...Object.keys(packageJson.dependencies), ...Object.keys(packageJson.devDependencies)]
  const listed = (await rows('src/README.md', 'Dependencies')).flatMap((row) => {
    const [, cell = ''] = row.split('|')
    return [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
  })
  t.same(listed.toSorted(), names.toSorted())
})

t.test('every value in the table by kind of application is one that the setting takes', async (t) => {
  const [, section = ''] = (await read('src/sessions/README.md')).split('## Settings by kind of application')
  const [table = ''] = section.split('\n| besides |')
  const cells = table
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => /`([^`]+)`/.exec(cell)?.[1]))
  t.ok(cells.length > 8, `${cells.length} settings`)
  for (const [, name = '', ...values] of cells) {
    t.ok(Object.hasOwn(Settings.properties, name), name)
    for (const value of values) {
      if (value !== undefined) t.doesNotThrow(() => loadConfig({ env: { [name]: value } }), `${name}=${value}`)
    }
  }
})
