import { readFile } from 'node:fs/promises'
import t from 'tap'
import { ERRORS } from '../../src/errors/app-error.ts'

// The page of the package: its tables against the code. Its programs are type-checked by
// test/system/verifier/client-package.ts.

const read = (file: string) => readFile(new URL(`../../src/client/${file}`, import.meta.url), 'utf8')
const page = await read('README.md')
const rows = (heading: string) => {
  const [, table = ''] = page.split(`| ${heading} |`)
  const [own = ''] = table.split('\n\n')
  return [...own.matchAll(/^\| (`.*?) \| (.*?) \|/gm)].map(([, name = '', cell = '']) => [name, cell] as const)
}
const names = (heading: string) =>
  rows(heading).flatMap(([cell]) => [...cell.matchAll(/`(\w+)/g)].map(([, name = '']) => name))
const membersOf = (text: string, start: string) => {
  const [, body = ''] = text.split(start)
  return [...(body.split('\n}')[0] ?? '').matchAll(/^ {2}(?:readonly )?(\w+)[?(:]/gm)].map(([, name = '']) => name)
}

t.test('the table of codes is complete, and says of each what the client does', async (t) => {
  const table = rows('code | what the client does | what you do')
  t.same(table.map(([cell]) => cell.replaceAll('`', '')).sort(), Object.keys(ERRORS).sort())
  const doing = (what: RegExp) =>
    table
      .filter(([, does]) => what.test(does))
      .map(([cell]) => cell.replaceAll('`', ''))
      .sort()
  t.same(doing(/is over/), ['invalid_refresh_token'])
  t.same(doing(/^renews/), ['invalid_token', 'token_expired', 'token_stale'])
  t.same(doing(/onStepUp/), ['insufficient_user_authentication'])
  t.same(
    doing(/Retry-After/),
    Object.entries(ERRORS)
      .filter(([, row]) => 'retryAfter' in row || row.status === 429)
      .map(([code]) => code)
      .sort(),
  )
})

t.test('the other tables have every code, member and option', async (t) => {
  const union = (await read('errors.ts')).split('type ClientErrorCode =')[1]?.split('\n\n')[0] ?? ''
  t.same(
    names('code | what happened'),
    [...union.matchAll(/\| '(\w+)'/g)].map(([, code]) => code),
  )
  const members = membersOf(await read('session.ts'), 'export interface Session {')
  t.ok(members.length > 8)
  t.same(names('member | what').sort(), members.sort())
  const options = membersOf(await read('options.ts'), 'export interface SessionOptions extends Partial<Platform> {')
  const platform = membersOf(await read('platform.ts'), 'export interface Platform {')
  t.same(names('option | default | what').sort(), [...options, ...platform].sort())
  const whys = (await read('held-session.ts')).split('export type Why =')[1]?.split('\n\n')[0] ?? ''
  for (const [, why] of whys.matchAll(/\| '(\w+)'/g)) t.match(page, new RegExp(`\`${why}\``), String(why))
})

t.test('a program of the page has at most 25 lines', async (t) => {
  const programs = [...page.matchAll(/^```ts\n\/\/ ([\w-]+)\n(.*?)^```$/gms)]
  t.ok(programs.length >= 9)
  for (const [, name = '', code = ''] of programs) {
    const lines = code.split('\n').length - 1
    if (lines > 25) t.fail(`${name}: ${lines} lines`)
  }
})
