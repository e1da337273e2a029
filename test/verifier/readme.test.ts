import { glob, readFile } from 'node:fs/promises'
import t from 'tap'
import { ERRORS, type ErrorCode, errorRow } from '../../src/errors/app-error.ts'
import { REFUSALS } from '../../src/errors/refusals.ts'
import { OPTION_NAMES } from '../../src/verifier/options.ts'
import { resolveOptions } from './node-options.ts'

// The tables and recipes on the pages of the package are promises too.

const read = (name: string) => readFile(new URL(`../../src/verifier/${name}`, import.meta.url), 'utf8')
const page = await read('README.md')
const more = `${await read('recipes.md')}${await read('sockets.md')}`

/** The first two columns of the table under a heading. */
function columns(heading: string): [first: string, second: string][] {
  const section = page.split(new RegExp(`^## ${heading}$`, 'm'))[1]?.split(/^## /m)[0] ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('|'))
  return rows.slice(2).map((row) => {
    const [, first = '', second = ''] = row.split('|').map((cell) => cell.trim().replaceAll('`', ''))
    return [first, second]
  })
}

t.test('the table of options is what createVerifier takes, with its defaults', async (t) => {
  const issuer = 'https://auth.example.com'
  const options = resolveOptions({ issuer, audience: null, revocations: true })
  const { policy, jwksUri, keysMaxStale, timeout, mode, feed } = options
  const listed = columns('Options')
  t.same(listed.map(([name]) => name).sort(), OPTION_NAMES.toSorted())
  t.match(Object.fromEntries(listed), {
    mode,
    maxFeedAge: String(feed?.maxFeedAge),
    typ: String(policy.typ),
    maxLifetime: String(policy.maxLifetime),
    clockSkew: String(policy.skew),
    jwksUri: jwksUri.href.replace(issuer, '<issuer>'),
    keysMaxStale: String(keysMaxStale),
    timeout: String(timeout),
  })
})

t.test('the table of reasons is the list, in the order of the checks', async (t) => {
  t.same(
    columns('Reasons').map(([reason]) => reason),
    REFUSALS,
  )
})

t.test('the table of errors has every code that the package can throw, with its status', async (t) => {
  const thrown = new Set<string>()
  for await (const path of glob('src/{tokens,verifier}/**/*.ts')) {
    for (const [, text = ''] of (await readFile(path, 'utf8')).matchAll(/'([a-z_]+)'/g))
      if (Object.hasOwn(ERRORS, text)) thrown.add(text)
  }
  const expected = [...thrown].map((code) => [code, String(errorRow(code as ErrorCode).status)])
  t.same(columns('Errors').sort(), expected.sort())
})

t.test('recipes tell their owner what happens, and those with a server close the verifier', async (t) => {
  const recipes = [...`${page}${more}`.matchAll(/```[jt]s\n\/\/ (\S+)\n(.*?)```/gs)]
  const making = recipes.filter(([, , code = '']) => code.includes('createVerifier({\n'))
  t.ok(making.length >= 8, 'the recipes were found')
  for (const [, name = '', code = ''] of making) {
    // Adapters log nothing themselves, and no answer has a reason.
    const tells = code.includes('toResponse(error)') ? /console\.warn\(.*error\.message/ : /onEvent: .*console\.warn/
    t.match(code, tells, name)
    if (/\.listen\(|serve\(/.test(code)) t.match(code, '() => verifier.close()', name)
  }
})

t.test('the page says whom a demand for a scope is for', async (t) => {
  t.match(page, /token of a person has `roles` and no `scope`/)
})
