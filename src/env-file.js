// Preloaded by `npm start` and the scripts of operators: all of them read the same `.env` of the current folder.
// Variables that are set already win. Node has `--env-file-if-exists` for this, but that option prints a line when
// there is no file, and goes on without a file that it may not read; and a Node before 22 refuses it with "bad option",
// where require-node.js says in one line which Node is needed. Plain JavaScript, as that file.
import { readFileSync } from 'node:fs'
import util from 'node:util'

const text = read()
if (text !== undefined) {
  for (const [name, value] of Object.entries(util.parseEnv(text))) process.env[name] ??= value
}

function read() {
  try {
    return readFileSync('.env', 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    process.stderr.write(`signet: error: can't read .env: ${error.code}\nhint: make it readable, or remove it\n`)
    process.exit(1)
  }
}
