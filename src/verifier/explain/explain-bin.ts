#!/usr/bin/env node
import { explainCommand } from './explain-command.ts'

// The program `signet-verifier` of the package.

const { stdin, stdout, stderr } = process
const argv = process.argv.slice(2)
if (stdin.isTTY && argv.includes('explain')) stderr.write('Paste the token, then press Enter and Ctrl-D.\n')
explainCommand({ argv, stdin, fetch }).then(
  (outcome) => {
    stdout.write(outcome.stdout)
    stderr.write(outcome.stderr)
    process.exitCode = outcome.exit
  },
  (error: Error) => {
    // Where it happened, and not its message: that may quote what was read.
    const frames = error.stack?.match(/^ +at .*$/gm)?.join('\n')
    stderr.write(`signet-verifier: an unexpected ${error.name}\n${frames}\n`)
    process.exitCode = 2
  },
)
