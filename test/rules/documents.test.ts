import { execFile } from 'node:child_process'
import { access, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import packageJson from '../../package.json' with { type: 'json' }

// The pages that people read: short lines, links that lead somewhere, and no document that is not in the tree.

const ROOT = new URL('../../', import.meta.url)
const MAX_ROOT_LINES = 350
const MAX_COLUMNS = 120

/** Empty where there is no git, or nothing that it follows. */
async function tracked(): Promise<string[]> {
  const args = ['-c', 'safe.directory=*', 'ls-files', '-z']
  const { stdout } = await promisify(execFile)('git', args, { cwd: fileURLToPath(ROOT) }).catch(() => ({ stdout: '' }))
  return stdout.split('\0').filter((file) => file !== '')
}
const files = await tracked()
const pages = files.filter((file) => file.endsWith('.md'))
const skip = files.length === 0 && 'git lists nothing here'
const read = (file: string) => readFile(new URL(file, ROOT), 'utf8')

/** A page without its code: neither fenced blocks nor code in a line hold links or headings. */
const prose = (text: string) =>
  text.replace(/^ *```.*?^ *```$/gms, '').replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, ''))

/** The anchor that the usual renderers make of a heading. */
function anchors(text: string): string[] {
  const seen = new Map<string, number>()
  return [...prose(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => {
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-')
    const before = seen.get(slug) ?? 0
    seen.set(slug, before + 1)
    return before === 0 ? slug : `${slug}-${before}`
  })
}

/** Targets of links that stand in the line, and of those that are defined apart: `[name]: target`. */
function targets(text: string): string[] {
  const inline = [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
  const apart = [...prose(text).matchAll(/^\[(?!\^)[^\]]+\]: (\S+)$/gm)].map(([, target = '']) => target)
  return [...inline, ...apart]
}

t.test(`the README at the root has at most ${MAX_ROOT_LINES} lines`, async (t) => {
  const lines = (await read('README.md')).split('\n').length - 1
  t.ok(lines <= MAX_ROOT_LINES, `${lines} lines`)
})

t.test(`no line of a page has more than ${MAX_COLUMNS} columns`, { skip }, async (t) => {
  t.ok(pages.length > 5, 'the pages were found')
  for (const page of pages) {
    ;(await read(page)).split('\n').forEach((line, index) => {
      if ([...line].length > MAX_COLUMNS) t.fail(`${page}:${index + 1} has ${[...line].length} columns`)
    })
  }
})

t.test('every relative link leads to a file, and its anchor to a heading', { skip }, async (t) => {
  let checked = 0
  for (const page of pages) {
    for (const target of targets(await read(page))) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const url = path === '' ? new URL(page, ROOT) : new URL(path, new URL(page, ROOT))
      checked += 1
      const there = await access(url).then(
        () => true,
        () => false,
      )
      if (!there) t.fail(`${page}: ${target} is not there`)
      else if (anchor !== undefined && !anchors(await readFile(url, 'utf8')).includes(anchor))
        t.fail(`${page}: ${target} has no such heading`)
    }
  }
  t.ok(checked > 40, `${checked} links`)
})

t.test('every name in brackets that is defined apart is defined, and used', { skip }, async (t) => {
  for (const page of pages) {
    const text = prose(await read(page))
    const defined = new Set([...text.matchAll(/^\[((?!\^)[^\]]+)\]: \S+$/gm)].map(([, name = '']) => name))
    const used = new Set([...text.matchAll(/\[([^[\]]+)\](?![(:[])/g)].map(([, name = '']) => name))
    for (const [, name = ''] of text.matchAll(/\]\[([^\]]+)\]/g)) used.add(name)
    for (const name of defined) t.ok(used.has(name), `${page}: [${name}] is used`)
    for (const [, name = ''] of text.matchAll(/\]\[([^\]]+)\]/g))
      t.ok(defined.has(name), `${page}: [${name}] is defined`)
  }
})

t.test('nothing refers to a document that is not in the tree', { skip }, async (t) => {
  const OUTSIDE = /DESIGN\.md|SECURITY-FACTS|HOUSE\.md|STYLE\.md|\bshared\/|\bissue #?\d/i
  for (const file of files.filter((name) => /\.(md|[jt]s|json|yml)$/.test(name) && name !== 'package-lock.json')) {
    if (file === 'test/rules/documents.test.ts') continue
    const found = OUTSIDE.exec(await read(file))
    if (found !== null) t.fail(`${file}: ${found[0]}`)
  }
})

t.test('a page that is named in the code is there', { skip }, async (t) => {
  let checked = 0
  for (const file of files.filter((name) => /^(src|scripts|test)\/.*\.[jt]s$/.test(name))) {
    for (const [, page = ''] of (await read(file)).matchAll(
      /(?<![\w./-])((?:src|scripts|test|keys)\/[\w/-]*\w\.md)\b/g,
    )) {
      checked += 1
      if (!files.includes(page)) t.fail(`${file}: ${page}`)
    }
  }
  t.ok(checked > 5, `${checked} names`)
})

t.test('the walks name files that exist', async (t) => {
  const [, walks = ''] = (await read('src/README.md')).split(/^## Six walks$/m)
  const named = walks.split(/^## /m)[0]?.matchAll(/`((?:scripts\/)?[\w/-]+\.ts)`/g) ?? []
  const files = [...named].map(([, file = '']) => (file.startsWith('scripts/') ? file : `src/${file}`))
  t.ok(files.length > 40)
  for (const file of files) await t.resolves(access(new URL(file, ROOT)), file)
})

t.test('every `npm run NAME` on a page is a script of package.json', { skip }, async (t) => {
  let checked = 0
  for (const page of pages) {
    // A name may stand on the next line, and options of npm before it.
    for (const [, name = ''] of (await read(page)).matchAll(/\bnpm run(?:\s+-{1,2}[\w-]+)*\s+([a-z][\w:-]*)/g)) {
      checked += 1
      if (!Object.hasOwn(packageJson.scripts, name)) t.fail(`${page}: npm run ${name} is not in package.json`)
    }
  }
  t.ok(checked > 40, `${checked} commands`)
})
