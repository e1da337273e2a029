// Runs after `npm ci` (the `prepare` script). argon2 brings compiled code for most platforms, but not for Intel Macs.
// There it is compiled here, because package managers run no install script that was not allowed (and npm's would also
// run where it has nothing to do). Plain JavaScript: any Node runs it.
import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const folder = realpathSync(fileURLToPath(new URL('../../node_modules/argon2/', import.meta.url)))
const require = createRequire(`${folder}/`)

if (!isCompiled() && !compiles()) {
  process.stderr.write(
    `signet: error: argon2 has no compiled code for ${process.platform}-${process.arch}, and compiling it failed.\n` +
      'hint: install Python 3, make and a C++ compiler (macOS: `xcode-select --install`), then run `npm ci` again.\n',
  )
  process.exit(1)
}

function isCompiled() {
  try {
    return Boolean(require('node-gyp-build').resolve(folder))
  } catch {
    return false
  }
}

function compiles() {
  const program = require.resolve('node-gyp-build/bin.js')
  return spawnSync(process.execPath, [program], { cwd: folder, stdio: 'inherit' }).status === 0
}
