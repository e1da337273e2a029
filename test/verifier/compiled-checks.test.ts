import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { compileChecks } from '../../scripts/build/compiled-checks.ts'
import * as claimsChecks from '../../src/tokens/claims-checks.ts'
import * as documentsChecks from '../../src/verifier/feed/documents-checks.ts'
import { good } from '../support/claims.ts'

interface Check {
  Check(value: unknown): boolean
}

const SOURCE = fileURLToPath(new URL('../../src', import.meta.url))
const FILES = { 'tokens/claims-checks.js': claimsChecks, 'verifier/feed/documents-checks.js': documentsChecks }
const FEED = {
  iss: 'i',
  seq: 1,
  iat: 1,
  exp: 2,
  sessions: ['s'],
  accounts: { a: 1 },
  clients: {},
  tokens: [],
  keys: [],
}
const CHANGES = { ...FEED, history: 'h', after: 0, cursor: 'h.1' }

/** The schemas of some exports, those in objects by a path. */
function flat(exported: object, path = ''): [string, Check][] {
  return Object.entries(exported).flatMap(([name, one]): [string, Check][] =>
    typeof one.Check === 'function' ? [[`${path}${name}`, one]] : flat(one, `${path}${name}.`),
  )
}

t.test('the code in the package judges as the source does, whatever comes', async (t) => {
  const pairs: [name: string, source: Check, built: Check][] = []
  for (const format of ['esm', 'cjs'] as const) {
    const folder = t.testdir({})
    const out = join(folder, format)
    for (const file of Object.keys(FILES)) {
      await mkdir(join(out, file, '..'), { recursive: true })
      await writeFile(join(out, file), '')
    }
    await writeFile(join(out, 'package.json'), JSON.stringify({ type: format === 'esm' ? 'module' : 'commonjs' }))
    await compileChecks(out, SOURCE, format)
    for (const [file, source] of Object.entries(FILES)) {
      const path = join(out, file)
      t.notMatch(await readFile(path, 'utf8'), /\bimport\b|\brequire\(|new Function|typebox/i, `${format} ${file}`)
      const load = async () =>
        format === 'esm' ? import(pathToFileURL(path).href) : createRequire(import.meta.url)(path)
      const built = Object.fromEntries(flat((await load()) as object))
      t.same(
        Object.keys(built).toSorted(),
        flat(source)
          .map(([name]) => name)
          .toSorted(),
        `${format} ${file}`,
      )
      for (const [name, check] of flat(source)) pairs.push([`${format} ${name}`, check, built[name] as Check])
    }
  }
  const agree = (value: unknown) => {
    for (const [name, source, built] of pairs)
      if (source.Check(value) !== built.Check(value)) throw new Error(`${name}: ${JSON.stringify(value)}`)
    return true
  }
  const isTaken = (name: string, value: unknown) => pairs.some(([one, , built]) => one === name && built.Check(value))
  t.ok(isTaken('esm claimsCheck', good))
  t.ok(isTaken('cjs feedCheck', FEED))
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 70 }),
    fc.constantFrom(
      '',
      ' ',
      '\u2028',
      '\ud800',
      '\u{1f600}',
      '\u0085',
      'a\n',
      '__proto__',
      'x'.repeat(255),
      'x'.repeat(256),
    ),
  )
  const number = fc.constantFrom(-1, -0, 0, 1, 0.5, 2 ** 53, 2 ** 53 - 1, 253_402_300_799, 253_402_300_800, 1e308)
  const value = fc.oneof(
    text,
    number,
    fc.jsonValue({ maxDepth: 2 }),
    fc.array(text, { maxLength: 33 }),
    fc.dictionary(text, number),
  )
  const whole = fc.constantFrom<Record<string, unknown>>({ ...good }, FEED, CHANGES, {})
  const names = [
    ...new Set([good, FEED, CHANGES].flatMap(Object.keys)),
    '__proto__',
    'toString',
    'cnf',
    'page',
    'until',
  ]
  const changes = fc.array(fc.tuple(fc.constantFrom(...names), fc.option(value, { nil: undefined })), { maxLength: 3 })
  fc.assert(
    fc.property(whole, changes, value, (whole, changes, other) => {
      // As JSON.parse makes it: `__proto__` is a member of its own then.
      const members = new Map(Object.entries(whole))
      for (const [name, one] of changes) if (!members.delete(name) || one !== undefined) members.set(name, one)
      const written = [...members].filter(([, one]) => one !== undefined)
      const json = `{${written.map(([name, one]) => `${JSON.stringify(name)}:${JSON.stringify(one)}`).join()}}`
      return agree(JSON.parse(json)) && agree(other)
    }),
    { numRuns: 1000 },
  )
})
