import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import { filesOf, groups } from './support/groups.ts'

const read = (file: string) => readFileSync(new URL(file, import.meta.url), 'utf8')

t.test('every group has a file that runs it, and every test file is in one group', async (t) => {
  const cwd = import.meta.dirname
  t.same(globSync('groups/*', { cwd }).sort(), groups.map((name) => `groups/${name}.ts`).sort())
  for (const name of groups) t.ok(read(`groups/${name}.ts`).endsWith(`await runGroup('${name}')\n`), name)
  t.same(groups.flatMap(filesOf).sort(), globSync('**/*.test.ts', { cwd }).sort())
})

t.test('a file that takes the time-outs of its process is where nobody else needs them', async (t) => {
  const takes = (file: string) => /'[^']*(fake-timeouts|\/remote|\/following|\/store-world)\.ts'/.test(read(file))
  const files = groups.filter((name) => name.endsWith('-timeouts')).flatMap(filesOf)
  t.same(groups.flatMap(filesOf).filter(takes).sort(), files.sort())
})

t.test('what starts processes or PostgreSQL stands in test/system/', async (t) => {
  const starts = (file: string) => /support\/(service|scripts|connections|postgres)\.ts'/.test(read(file))
  const fast = groups.filter((name) => name.startsWith('fast-')).flatMap(filesOf)
  t.same(fast.filter(starts), [])
})
