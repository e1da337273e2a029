import { glob, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { TypeCheck } from '@sinclair/typebox/compiler'

/** Files of the source that hold nothing but compiled schemas, and objects of them. */
const CHECKS = '**/*-checks.js'

/**
 * Puts the code that TypeBox makes of the schemas in the place of the calls that make it. The runtimes of Cloudflare
 * and of Next.js forbid code that is made while they run, and TypeBox itself need not be loaded.
 *
 * @param outDir the compiled modules of a package
 * @param source the folder that they were compiled from, with the same paths
 * @param format how a module says what it exports
 * @throws Error when such a file exports something else, or its code needs more than itself
 */
export async function compileChecks(outDir: string, source: string, format: 'esm' | 'cjs'): Promise<void> {
  for await (const file of glob(CHECKS, { cwd: outDir })) {
    const from = pathToFileURL(join(source, file.replace(/\.js$/, '.ts'))).href
    const exported = Object.entries((await import(from)) as Record<string, unknown>)
    const code = exported.map(([name, value]) => {
      const declaration = format === 'esm' ? `export const ${name} =` : `exports.${name} =`
      return `${declaration} ${codeOf(`${file}: ${name}`, value)}\n`
    })
    const head = '"use strict"\nObject.defineProperty(exports, "__esModule", { value: true })\n'
    await writeFile(join(outDir, file), `${format === 'esm' ? '' : head}${code.join('')}`)
  }
}

function codeOf(place: string, value: unknown): string {
  if (value instanceof TypeCheck) {
    const code = value.Code()
    if (/\b(kind|format|hash)\(/.test(code)) throw new Error(`${place} needs TypeBox while it runs`)
    return `{ Check: (() => {\n${code}\n})() }`
  }
  if (typeof value !== 'object' || value === null) throw new Error(`${place} is not a compiled schema`)
  const members = Object.entries(value).map(([name, member]) => `${name}: ${codeOf(`${place}.${name}`, member)}`)
  return `{\n${members.join(',\n')}\n}`
}
