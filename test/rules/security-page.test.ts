import { access, readFile } from 'node:fs/promises'
import t from 'tap'
import packageJson from '../../package.json' with { type: 'json' }
import { Settings } from '../../src/config/settings.ts'
import { ERRORS } from '../../src/errors/app-error.ts'
import { OAUTH_ERRORS } from '../../src/errors/oauth-error.ts'

// SECURITY.md names places in the source and tests as evidence: they must be there.

const ROOT = new URL('../../', import.meta.url)
const page = await readFile(new URL('.github/SECURITY.md', ROOT), 'utf8')
const quoted = [...new Set([...page.matchAll(/`([^`\n]+)`/g)].map(([, text = '']) => text))]

/** Words of standards that look like codes. */
const NO_CODES = ['private_key_jwt', 'jwks_uri', 'client_id', 'auth_time']

t.test('every file that is named exists', async (t) => {
  const files = quoted.filter((text) => /^(src|test|scripts)\//.test(text))
  t.ok(files.length > 60, `${files.length} files`)
  for (const file of files) await t.resolves(access(new URL(file, ROOT)), file)
})

t.test('every error code that is named is one', async (t) => {
  const codes = quoted.filter((text) => /^[a-z]+(_[a-z]+)+$/.test(text) && !NO_CODES.includes(text))
  t.ok(codes.length >= 4, codes.join())
  for (const code of codes) t.ok(Object.hasOwn(ERRORS, code) || Object.hasOwn(OAUTH_ERRORS, code), code)
})

t.test('every setting and every command that is named is one', async (t) => {
  const settings = quoted.flatMap((text) => /^[A-Z]+(?:_[A-Z]+)+/.exec(text) ?? [])
  t.ok(settings.length >= 3)
  for (const name of settings) t.ok(Object.hasOwn(Settings.properties, name), name)
  const commands = quoted.flatMap((text) => /^npm run ([\w:]+)/.exec(text)?.[1] ?? [])
  t.ok(commands.length >= 2)
  for (const name of commands) t.ok(Object.hasOwn(packageJson.scripts, name), name)
})

t.test('every row of the standards that claims something shows its test', async (t) => {
  const standards = page.slice(page.indexOf('## OWASP ASVS 5.0'), page.indexOf('## How it is attacked'))
  const items = standards.replace(/\n {2}(?=\S)/g, ' ').split('\n') // an item goes on in lines that are indented
  const rows = items.filter((line) => /^- \*\*\d/.test(line))
  t.ok(rows.length > 50, `${rows.length} rows`)
  for (const row of rows) {
    const claims = !row.includes('**No:**') && !row.startsWith('- **6.4.2** ')
    if (claims) t.match(row, /`test\//, row)
  }
})

t.test('the README leads to it', async (t) => {
  t.match(await readFile(new URL('README.md', ROOT), 'utf8'), '.github/SECURITY.md')
})
