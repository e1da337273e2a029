import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { HERE } from '../program.ts'

const PAGES = ['README.md', 'recipes.md'].map((page) => join(HERE, '../../../src/verifier', page))

/** The programs that the pages of signet-verifier print, by the name in their first line. */
export function printedRecipes(): ReadonlyMap<string, string> {
  const recipes = new Map<string, string>()
  for (const page of PAGES)
    for (const [, name = '', code = ''] of readFileSync(page, 'utf8').matchAll(/^```[jt]s\n\/\/ (\S+)\n(.*?)^```$/gms))
      recipes.set(name, code)
  return recipes
}
