import { glob, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { TypeCheck } from '@sinclair/typebox/compiler'

/** Files of the source that hold nothing but compiled schemas. */
const CHECKS = '**/*-checks.js'

/**
 * Puts the code that TypeBox makes of the schemas in the place of the calls that make it. The runtimes of Cloudflare and
 * of Next.js forbid code that is made while they run.
 *
 * @param outDir the compiled modules of a package
 * @param source the folder that they were compiled from, with the same paths
 * @param exported how a module says what it exports
 * @throws Error when such a file exports something else, or its code needs more than itself
 */
export async function compileChecks(outDir: string, source: string, exported: 'esm' | 'cjs'): Promise<void> {
  for await (const file of glob(CHECKS, { cwd: outDir })) {
    const from = pathToFileURL(join(source, file.replace(/\.js$/, '.ts'))).href
    const checks = Object.entries((await import(from)) as Record<string, unknown>)
    const code = checks.map(([name, check]) => {
      if (!(check instanceof TypeCheck)) throw new Error(`${basename(file)}: ${name} is not a compiled schema`)
      const made = check.Code()
      if (/\b(kind|format|hash)\(/.test(made)) throw new Error(`${basename(file)}: ${name} needs TypeBox while it runs`)
      const declaration = exported === 'esm' ? `export const ${name} =` : `exports.${name} =`
      return `${declaration} { Check: (() => {\n${made}\n})() }\n`
    })
    const head =
      exported === 'esm' ? '' : '"use strict"\nObject.defineProperty(exports, "__esModule", { value: true })\n'
    await writeFile(join(outDir, file), `${head}${code.join('')}`)
  }
}
