// Run by the test scripts of package.json, with any Node: builds tap with its plugins, which takes seconds, unless that
// was done since the last install and the last change of tap's settings.

import { execFileSync } from 'node:child_process'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'

const changedAt = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0

const BUILT = '.tap/built'
const CAUSES = ['.taprc', 'node_modules', 'node_modules/.package-lock.json'] // an install changes the last two
if (CAUSES.some((path) => changedAt(path) >= changedAt(BUILT))) {
  execFileSync('tap build', { stdio: 'inherit', shell: true })
  mkdirSync('.tap', { recursive: true })
  writeFileSync(BUILT, '')
}
