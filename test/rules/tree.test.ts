import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

// Only these files and folders may be tracked, so that a newcomer knows where everything belongs.

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const TOP = 'CHANGELOG.md LICENSE README.md keys package-lock.json package.json scripts src test tsconfig.json'.split(
  ' ',
)
/** A longer file is hard to read in one go. */
const MOST_LINES = 250
const OF_A_MACHINE = /\/(?:home|Users|root|work)\/\w|registry\.npmjs|\bnpm\.pkg\./

/**
 * Empty where there is no git, or nothing that it follows. The owner of the folder does not matter to who only reads
 * its list.
 */
async function tracked(): Promise<string[]> {
  const args = ['-c', 'safe.directory=*', 'ls-files', '-z']
  const { stdout } = await promisify(execFile)('git', args, { cwd: ROOT }).catch(() => ({ stdout: '' }))
  return stdout.split('\0').filter((file) => file !== '')
}
const files = await tracked()
const skip = files.length === 0 && 'git lists nothing here'

t.test('at the top level stands what the project is made of, and dotfiles', { skip }, async (t) => {
  const top = new Set(files.map((file) => file.split('/')[0] ?? ''))
  t.same([...top].filter((name) => !name.startsWith('.')).sort(), TOP)
})

t.test('no key is tracked, and nothing of one machine', { skip }, async (t) => {
  for (const file of files) {
    if (file.startsWith('keys/')) t.match(file, /^keys\/(\.gitignore|README\.md)$/)
    if (file === 'test/rules/tree.test.ts') continue
    const found = OF_A_MACHINE.exec(await readFile(`${ROOT}${file}`, 'utf8'))
    if (found !== null) t.fail(`${file}: ${found[0]}`)
  }
})

t.test(`no source file is longer than ${MOST_LINES} lines`, { skip }, async (t) => {
  const sources = files.filter((file) => /\.[jt]s$/.test(file))
  t.ok(sources.length > 100)
  for (const file of sources) {
    const lines = (await readFile(`${ROOT}${file}`, 'utf8')).split('\n').length - 1
    if (lines > MOST_LINES) t.fail(`${file}: ${lines} lines`)
  }
})
