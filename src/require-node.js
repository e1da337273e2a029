// Plain JavaScript on purpose: an old Node can't read TypeScript, and must still say so in one clear line. It must
// exit: argon2's prebuilt binary crashes when Node 20 loads it.
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const [major] = process.versions.node.split('.').map(Number)

if (major < 24) {
  process.stderr.write(
    `signet: error: this is Node.js ${process.versions.node}, and Signet needs 24 or newer.\n` +
      'hint: `npm ci` installs Node 26 beside the dependencies on most platforms ' +
      '(do not omit optional dependencies), ' +
      'and `npm start` uses it (`yarn start` does not). Elsewhere install Node 24 or 26 first.\n',
  )
  process.exit(1)
}

// Keeps compiled code (and the result of type stripping) between starts: a second boot takes about half the time. The
// cache is beside the code, never in the shared temporary folder, where anybody could leave code for us to run
// (CWE-379).
module.enableCompileCache?.(fileURLToPath(new URL('../node_modules/.cache/signet', import.meta.url)))
