import { glob, readFile } from 'node:fs/promises'
import { posix } from 'node:path'
import t from 'tap'

/**
 * The rooms of `src/`, from the ground up: each imports from itself and from those before it, types included.
 * `src/README.md` says
 * what they are for.
 */
const ROOMS = [
  'client/', // runs elsewhere, so it imports nothing of the others
  'clock.ts',
  'timers.ts',
  'collect-garbage.ts',
  'ids.ts',
  'version.ts',
  'errors/',
  'config/',
  'limits/',
  'db/',
  'audit/',
  'http/',
  'keys/',
  'messages/',
  'maintenance.ts',
  'tokens/',
  'administration/',
  'revocations/',
  'verifier/',
  'accounts/',
  'sessions/',
  'recovery/',
  'clients/',
  'oauth/',
  'observability/',
  'parts.ts',
  'app.ts',
  'process/',
  'cluster/',
  'server.ts',
]
/** Scripts stand beside the server: they use its rules and stores, and never the server itself. */
const HIGHEST_FOR_SCRIPTS = ROOMS.indexOf('parts.ts')

interface Import {
  readonly from: string
  /** A path from the root of the repository, or the name of a package. */
  readonly to: string
}

async function importsOf(pattern: string): Promise<Import[]> {
  const found: Import[] = []
  for await (const path of glob(pattern)) {
    const from = path.replaceAll('\\', '/')
    const text = await readFile(path, 'utf8')
    const add = (to: string) => found.push({ from, to: to.startsWith('.') ? posix.join(posix.dirname(from), to) : to })
    for (const [, to = ''] of text.matchAll(/^(?:import|export)\s[^'"]*?\bfrom ['"]([^'"]+)['"]/gm)) add(to)
    for (const [, to = ''] of text.matchAll(/(?:^import |\bimport\()\s*['"]([^'"]+)['"]/gm)) add(to)
  }
  return found
}

const roomOf = (file: string) => ROOMS.findIndex((room) => file.startsWith(`src/${room}`))
const src = await importsOf('src/**/*.ts')

t.test('every file of src stands in a room of the list', async (t) => {
  t.ok(src.length > 100, 'the imports were found')
  for (const { from, to } of src) {
    for (const file of [from, to].filter((name) => name.startsWith('src/')))
      if (roomOf(file) === -1)
        t.fail(`${file} is not in the list ROOMS of this file: add its folder after everything it imports`)
  }
})

t.test('no import of src runs upward', async (t) => {
  for (const { from, to } of src) {
    if (to.startsWith('scripts/') || to.startsWith('test/')) t.fail(`${from} imports ${to}`)
    if (to.startsWith('src/') && roomOf(to) > roomOf(from))
      t.fail(`${from} imports ${to}, which comes later in the list ROOMS of this file`)
  }
})

t.test('inside a room: routes know no SQL and no other route, rules and stores know no Fastify', async (t) => {
  for (const { from, to } of src) {
    const isRoute = /-routes?\.ts$/.test(from)
    if (isRoute && (/-store\.ts$/.test(to) || to.startsWith('src/db/'))) t.fail(`${from} speaks SQL: ${to}`)
    if (isRoute && /-routes?\.ts$/.test(to)) t.fail(`${from} imports another route: ${to}`)
    if (/-store\.ts$/.test(from) && /^(fastify|@fastify\/.*)$/.test(to)) t.fail(`${from} knows ${to}`)
    if (/^src\/keys\/(keyring|jwk|rotation)\.ts$/.test(from) && to.startsWith('node:') && to !== 'node:crypto')
      t.fail(`${from} is not pure: ${to}`)
  }
})

t.test('scripts use rules and stores, never the server; tests are imported by tests only', async (t) => {
  const scripts = await importsOf('scripts/**/*.ts')
  t.ok(scripts.length > 100, 'the imports were found')
  for (const { from, to } of scripts) {
    const isLab = from.startsWith('scripts/lab/')
    if (to.startsWith('src/') && roomOf(to) >= HIGHEST_FOR_SCRIPTS) t.fail(`${from} imports the server: ${to}`)
    if (to.startsWith('scripts/lab/') && !isLab) t.fail(`${from} imports the laboratory: ${to}`)
    if (to.startsWith('test/') && !(isLab && to.startsWith('test/support/'))) t.fail(`${from} imports a test: ${to}`)
  }
})

t.test('test/support stands below the tests, which import nothing from each other across folders', async (t) => {
  for (const { from, to } of await importsOf('test/**/*.ts')) {
    if (!to.startsWith('test/') || to.startsWith('test/support/')) continue
    if (from.startsWith('test/support/')) t.fail(`${from} imports a test: ${to}`)
    else if (posix.dirname(from) !== posix.dirname(to)) t.fail(`${from} imports ${to} of another folder`)
  }
})

t.test(
  'only config.ts reads the environment, only the error handler writes error bodies, nobody decodes without verifying',
  async (t) => {
    for await (const path of glob('src/**/*.ts')) {
      const file = path.replaceAll('\\', '/')
      const text = await readFile(path, 'utf8')
      const isProgram = file === 'src/verifier/gate/signet-gate.ts' // its settings are those of the package
      if (/process\.env/.test(text) && file !== 'src/config/config.ts' && !isProgram)
        t.fail(`${file} reads process.env`)
      if (/problem\+json/.test(text) && !['src/errors/problem.ts', 'src/http/docs-route.ts'].includes(file))
        t.fail(`${file} writes an error body`)
      if (/jwtDecode|jwt\.decode|decodeJwt/.test(text)) t.fail(`${file} decodes a token without verifying it`)
      if (/Date\.now\(\)|new Date\(\)/.test(text) && !['src/clock.ts', 'src/client/clocks.ts'].includes(file))
        t.fail(`${file} reads the clock itself`)
    }
  },
)
