import { glob, readFile } from 'node:fs/promises'
import t from 'tap'
import { PROGRAMS } from '../../scripts/lab/interop/programs.ts'

// `npm run interop` tries the files under scripts/lab/interop/; the README prints them. What is printed has to be what was tried.

const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
const printed = [...readme.matchAll(/^```\w+ (scripts\/lab\/interop\/\S+)\n(.*?)^```$/gms)]

/** Files that belong to the trial and are nobody's recipe. */
const SCAFFOLD = ['scripts/lab/interop/apache/httpd.conf', 'scripts/lab/interop/python/guard.py']

t.test('a recipe in the README is the file that is tried, word for word', async (t) => {
  t.ok(printed.length >= 10, 'the recipes were found')
  for (const [, file = '', text] of printed) t.equal(text, await readFile(file, 'utf8'), file)
})

t.test('every recipe is printed or linked', async (t) => {
  const files: string[] = []
  for await (const path of glob('scripts/lab/interop/*/*.*')) files.push(path.replaceAll('\\', '/'))
  for (const file of files.filter((file) => !SCAFFOLD.includes(file)))
    t.ok(readme.includes(`](${file})`) || printed.some(([, name]) => name === file), file)
})

t.test('the table of what was tried has a row per program', async (t) => {
  const rows = [...readme.matchAll(/^\| (\[.*?\]\(scripts\/lab\/interop\/.*?\)) \|/gm)].map(([, link]) => link)
  t.same(
    rows,
    PROGRAMS.map(({ name, recipe }) => `[${name}](scripts/lab/interop/${recipe})`),
  )
})
