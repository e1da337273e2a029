import { spawnSync } from 'node:child_process'
import type { Issuer } from './issuer.ts'
import type { Verifier } from './verifiers.ts'

/** Where the recipes are. */
export const HERE = import.meta.dirname

export interface Place {
  /** A temporary folder of this run, with the npm libraries in its `node_modules`. */
  readonly folder: string
  readonly issuer: Issuer
}

export interface Program {
  readonly name: string
  /** Its recipe, below scripts/lab/interop/. */
  readonly recipe: string
  /** The command that installs it. */
  readonly install: string
  /** Undefined when it is not installed. */
  version(place: Place): Promise<string | undefined>
  start(place: Place): Promise<Verifier>
  /** It refuses what was taken back before that expires. */
  readonly takesBack?: boolean
  /** A check that it is known not to make, because it can't be configured. */
  readonly unchecked?: string
}

/** The output of a command; undefined when it is not installed or fails. */
export function printed(program: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  return status === 0 ? stdout.trim() : undefined
}

/** Version of an installed package of Debian. */
export function debianVersion(name: string): string | undefined {
  return printed('dpkg-query', ['-W', name])?.split('\t')[1]
}

/**
 * The first Python that has a module: Debian's modules are only for Debian's own Python, which is often not the first
 * on the path.
 */
export function pythonWith(module: string): string | undefined {
  return ['python3', '/usr/bin/python3'].find((program) => printed(program, ['-c', `import ${module}`]) !== undefined)
}
