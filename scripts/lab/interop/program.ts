import { spawnSync } from 'node:child_process'
import type { Issuer } from './issuer.ts'
import type { Verifier } from './verifiers.ts'

/** Where the recipes are. */
export const HERE = import.meta.dirname

export interface Place {
  /** Scratch space of this run; `node_modules` with the libraries of npm is there. */
  readonly folder: string
  readonly issuer: Issuer
}

export interface Program {
  readonly name: string
  /** Its recipe, below scripts/lab/interop/. */
  readonly recipe: string
  /** What to do where it is missing. */
  readonly install: string
  /** Undefined when it is not there. */
  version(place: Place): Promise<string | undefined>
  start(place: Place): Promise<Verifier>
  /** What it is known not to check, for lack of a way to tell it so. */
  readonly unchecked?: string
}

/** What a command prints; undefined when it is not there or fails. */
export function printed(program: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  return status === 0 ? stdout.trim() : undefined
}

/** Version of an installed package of Debian. */
export function debianVersion(name: string): string | undefined {
  return printed('dpkg-query', ['-W', name])?.split('\t')[1]
}

/** The first Python that has a module: Debian's modules are for Debian's Python, which often is not the one on the path. */
export function pythonWith(module: string): string | undefined {
  return ['python3', '/usr/bin/python3'].find((program) => printed(program, ['-c', `import ${module}`]) !== undefined)
}
