import { glob, readFile } from 'node:fs/promises'
import { posix } from 'node:path'
import t from 'tap'

// The table "who may import whom" of DESIGN.md, section 4. `import type` counts for layers, not for packages.

type Layer = 'server' | 'app' | 'route' | 'store' | 'db' | 'pure' | 'rules' | 'http' | 'shared' | 'script' | 'verifier'

const SHARED = [
  'errors',
  'oauth-errors',
  'config',
  'settings',
  'limit-settings',
  'clock',
  'ids',
  'version',
  'http/schemas',
  'http/problem',
  'tokens/lifetime',
  'one-slip',
  'fetch-text',
].map((name) => `src/${name}.ts`)
const PURE = ['src/keys/keyring.ts', 'src/keys/jwk.ts']
/** Parts that are made for Fastify: they may import it, and only app.ts and routes may import them. */
const FASTIFY_PARTS = [
  'src/tokens/authenticate.ts',
  'src/tokens/fastify-jwt-payload.ts',
  'src/revocations/register-revocations.ts',
  'src/observability/',
]

function layerOf(file: string): Layer {
  if (file.startsWith('scripts/')) return 'script'
  if (file === 'src/server.ts' || /^src\/(process|cluster)\//.test(file)) return 'server' // the processes
  if (file === 'src/app.ts') return 'app'
  if (file.startsWith('src/verifier/')) return 'verifier' // its own program: nobody here imports it
  if (SHARED.includes(file)) return 'shared'
  if (PURE.includes(file)) return 'pure'
  if (/-routes?\.ts$/.test(file)) return 'route'
  if (/-store\.ts$/.test(file)) return 'store'
  if (file.startsWith('src/db/')) return 'db'
  if (file.startsWith('src/http/') || FASTIFY_PARTS.some((part) => file.startsWith(part))) return 'http'
  return 'rules'
}

/** What code of a layer may import at run time. Types of a neighbour are free, but for the two lines below the table. */
const MAY_IMPORT: Record<Layer, Layer[]> = {
  server: ['server', 'app', 'store', 'shared', 'db', 'rules', 'http', 'pure'],
  app: ['route', 'store', 'rules', 'http', 'shared', 'pure'],
  route: ['rules', 'http', 'shared', 'pure'],
  store: ['store', 'shared', 'pure', 'rules'], // a transaction may span two stores; of rules only pure values and types
  db: ['db', 'shared'],
  pure: ['pure', 'shared'],
  rules: ['rules', 'shared', 'pure'],
  http: ['http', 'shared', 'rules', 'store'],
  shared: ['shared'],
  verifier: ['verifier', 'shared', 'rules', 'pure', 'http'],
  script: ['script', 'shared', 'db', 'store', 'rules', 'pure'],
}

interface Import {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
}

async function imports(): Promise<Import[]> {
  const found: Import[] = []
  for await (const path of glob(['src/**/*.ts', 'scripts/*.ts'])) {
    const from = path.replaceAll('\\', '/')
    const text = await readFile(path, 'utf8')
    for (const [, keyword = '', to = ''] of text.matchAll(/^(?:import|export)\s+(type\b)?[^'"]*?['"]([^'"]+)['"]/gm)) {
      const relative = to.startsWith('.')
      found.push({ from, to: relative ? posix.join(posix.dirname(from), to) : to, typeOnly: keyword === 'type' })
    }
    for (const [, to = ''] of text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)) found.push({ from, to, typeOnly: false })
  }
  return found
}

t.test('imports follow the arrows of DESIGN.md', async (t) => {
  const all = await imports()
  t.ok(all.length > 100, 'the imports were found')
  for (const { from, to, typeOnly } of all.filter(({ to }) => to.startsWith('src/') || to.startsWith('scripts/'))) {
    if (typeOnly) continue
    const [source, target] = [layerOf(from), layerOf(to)]
    if (!MAY_IMPORT[source].includes(target)) t.fail(`${from} (${source}) imports ${to} (${target})`)
  }
})

t.test('the rules that no type import may break either', async (t) => {
  for (const { from, to } of await imports()) {
    const layer = layerOf(from)
    if (to === 'fastify' && ['rules', 'store', 'pure', 'db', 'shared', 'script'].includes(layer))
      t.fail(`${from} knows fastify`)
    if (layer === 'route' && (/-store\.ts$/.test(to) || to.startsWith('src/db/'))) t.fail(`${from} speaks SQL`)
    if (layer === 'route' && layerOf(to) === 'route') t.fail(`${from} imports another route`)
    if (layer === 'script' && ['src/app.ts', 'src/server.ts'].includes(to)) t.fail(`${from} imports the server`)
    if (layer === 'pure' && to.startsWith('node:') && to !== 'node:crypto') t.fail(`${from} is not pure: ${to}`)
  }
})

t.test(
  'only config.ts reads the environment, only the error handler writes error bodies, nobody decodes without verifying',
  async (t) => {
    for await (const path of glob('src/**/*.ts')) {
      const file = path.replaceAll('\\', '/')
      const text = await readFile(path, 'utf8')
      if (/process\.env/.test(text) && file !== 'src/config.ts') t.fail(`${file} reads process.env`)
      if (/problem\+json/.test(text) && !['src/http/problem.ts', 'src/http/docs-route.ts'].includes(file))
        t.fail(`${file} writes an error body`)
      if (/jwtDecode|jwt\.decode|decodeJwt/.test(text)) t.fail(`${file} decodes a token without verifying it`)
      if (/Date\.now\(\)|new Date\(\)/.test(text) && file !== 'src/clock.ts') t.fail(`${file} reads the clock itself`)
      const lines = text.split('\n').length
      if (lines > 251) t.fail(`${file} has ${lines} lines`)
    }
  },
)
