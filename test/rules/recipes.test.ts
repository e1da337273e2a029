import { access, glob, readFile } from 'node:fs/promises'
import t from 'tap'
import { FRAMEWORKS } from '../../scripts/lab/interop/frameworks/frameworks.ts'
import { printedRecipes } from '../../scripts/lab/interop/frameworks/printed-recipes.ts'
import { GATEWAYS } from '../../scripts/lab/interop/gate/gateways.ts'
import { PROGRAMS } from '../../scripts/lab/interop/programs.ts'
import { RUNTIMES } from '../../scripts/lab/interop/runtimes/runtimes.ts'

// `npm run interop` tries the files under scripts/lab/interop/, and three pages print them. What is printed has to be
// what was tried.

const INTEROP = new URL('../../scripts/lab/interop/', import.meta.url)
const PAGES = ['scripts/lab/interop/README.md', 'src/revocations/README.md', 'scripts/README.md'].map(
  (path) => new URL(`../../${path}`, import.meta.url),
)

const page = await readFile(new URL('README.md', INTEROP), 'utf8')
const gateways = await readFile(new URL('gateways.md', INTEROP), 'utf8')
/** Recipes by their file; their fences name it, relative to the page. */
const printed = new Map<string, string>()
for (const url of PAGES) {
  for (const [, path = '', text = ''] of (await readFile(url, 'utf8')).matchAll(/^```\w+ (\S+\/\S+)\n(.*?)^```$/gms))
    printed.set(new URL(path, url).href, text)
}

/** Files that the trial needs and that are not recipes. */
const SCAFFOLD = [
  ...['apache/httpd.conf', 'nginx/nginx.conf', 'mcp/client_post.js', 'python/judge.py', 'python/vectors.py'],
  ...['go.mod', 'judge/main.go', 'signet/guard_test.go', 'signet/vectors_test.go'].map((name) => `go/service/${name}`),
  'frameworks/api_gateway.js',
  'apache/around-gate.conf',
  ...['serve-fetch', 'workerd-host', 'edge-host', 'cold', 'quiet'].map((name) => `runtimes/services/${name}.js`),
]

t.test('a recipe on a page is the file that is tried, word for word', async (t) => {
  t.ok(printed.size >= 11, 'the recipes were found')
  for (const [url, text] of printed) t.equal(text, await readFile(new URL(url), 'utf8'), url)
})

t.test('every recipe is printed or linked', async (t) => {
  const files: string[] = []
  for await (const path of glob('*/**/*.*', { cwd: INTEROP })) files.push(path.replaceAll('\\', '/'))
  t.ok(files.length > SCAFFOLD.length + 10, 'the files were found')
  for (const file of files.filter((file) => !SCAFFOLD.includes(file) && !file.endsWith('.ts')))
    t.ok(`${page}${gateways}`.includes(`](${file})`) || printed.has(new URL(file, INTEROP).href), file)
})

t.test('the tables of what was tried have a row per program, runtime and recipe of signet-verifier', async (t) => {
  const rows = [...page.matchAll(/^\| \[(.*?)\]\((\S+)\) \|/gm)].map(([, name, recipe]) => ({ name, recipe }))
  t.same(rows, [
    ...[...PROGRAMS, ...RUNTIMES].map(({ name, recipe }) => ({ name, recipe })),
    ...FRAMEWORKS.map(({ name, page }) => ({ name, recipe: page })),
  ])
  for (const { recipe = '' } of rows) await t.resolves(access(new URL(recipe, INTEROP)), recipe)
})

t.test('the table of the gateways has a row for each', async (t) => {
  const rows = [...gateways.matchAll(/^\| \[(.*?)\]\((\S+)\) \|/gm)].map(([, name, recipe]) => ({ name, recipe }))
  t.same(
    rows,
    GATEWAYS.map(({ name, recipe }) => ({ name, recipe })),
  )
})

/** These are no servers: the test of the package compiles the first two, and the third is three lines. */
const PARTS = ['express-typed', 'claims', 'yourself']

t.test('each recipe of signet-verifier is run', async (t) => {
  const names = new Set([...printedRecipes().keys()].map((name) => name.split('/', 1)[0]))
  t.same([...names].sort(), [...new Set(FRAMEWORKS.map(({ recipe }) => recipe)), ...PARTS].sort())
})
