import { readFile } from 'node:fs/promises'
import t from 'tap'

// What a production install brings along: whose licence it is under, and how much of it there is.

const PERMISSIVE = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'ISC', 'MIT', 'MIT-0']

interface Entry {
  readonly license?: string
  readonly dev?: boolean
  readonly devOptional?: boolean
  readonly optional?: boolean
}

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')
const { packages } = JSON.parse(await read('package-lock.json')) as { packages: Record<string, Entry> }
const runtime = Object.entries(packages).filter(([path, entry]) => path !== '' && !entry.dev && !entry.devOptional)

t.test('every dependency that runs in production is under a permissive licence', async (t) => {
  t.ok(runtime.length > 50, 'the dependencies were found')
  for (const [path, { license }] of runtime) {
    if (!PERMISSIVE.includes(license ?? '')) t.fail(`${path} is under ${license ?? 'no licence at all'}`)
  }
})

t.test('the lock file names no registry', async (t) => {
  t.notMatch(await read('package-lock.json'), /"resolved"/)
})

t.test('the page of dependencies states their number', async (t) => {
  const needed = runtime.filter(([, { optional }]) => !optional).length
  const page = (await read('src/README.md')).replace(/\s+/g, ' ')
  t.match(page, `A production install is ${needed} packages`)
  t.match(page, `to the ${needed} of a production install`)
})
