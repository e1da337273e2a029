// Run by the test scripts of package.json, with any Node: builds tap with its plugins, which takes seconds, unless that
// was done since the last install and the last change of tap's settings.

import { execFileSync } from 'node:child_process'
import { statSync } from 'node:fs'

const changedAt = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0

const BUILT = 'node_modules/@tapjs/test/test-built/dist/esm/index.js' // an install takes it away
if (changedAt(BUILT) <= changedAt('.taprc')) execFileSync('tap build', { stdio: 'inherit', shell: true })
