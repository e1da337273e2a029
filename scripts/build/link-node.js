// Runs after `npm ci` (the `prepare` script). Several packages bring a `node`, one per platform, and every script looks
// for it in node_modules/.bin first. npm 11 and 12 link the right one, npm 10 none, yarn 1 a wrong one. And where none
// can run (Alpine: musl), a link must not hide the system's Node. Plain JavaScript: any Node runs it.
import { spawnSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const modules = fileURLToPath(new URL('../../node_modules/', import.meta.url))
const { arch, platform } = process
const program = platform === 'win32' ? 'node.exe' : 'node'
const link = join(modules, '.bin', program)
const brought = [`node-${platform === 'win32' ? 'win' : platform}-${arch}`, `node-bin-${platform}-${arch}`]
  .map((name) => join(modules, name, 'bin', program))
  .find((path) => existsSync(path))

if (brought !== undefined && runs(brought)) {
  if (!isLinked(brought)) put(brought)
} else if (!runs(link)) {
  rmSync(link, { force: true })
  if (brought !== undefined) {
    process.stderr.write(
      'signet: the Node that came with the install does not run here; the system needs Node 24 or 26.\n',
    )
  }
}

function runs(path) {
  return spawnSync(path, ['--version']).status === 0
}

function isLinked(path) {
  return existsSync(link) && statSync(link).ino === statSync(path).ino
}

function put(path) {
  mkdirSync(dirname(link), { recursive: true })
  rmSync(link, { force: true })
  // Windows lets only administrators make symbolic links; a hard link needs no right.
  if (platform === 'win32') linkSync(path, link)
  else symlinkSync(relative(dirname(link), path), link)
}
