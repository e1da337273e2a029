import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../../support/app.ts'
import { inherited, ROOT } from '../../support/service.ts'

// The commands of package.json, run in another folder: npm would run them in that of package.json.

const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
}

async function folder(t: Test, env?: string): Promise<string> {
  const dir = await temporaryFolder(t)
  if (env !== undefined) await writeFile(join(dir, '.env'), env)
  return dir
}

async function npmRun(t: Test, cwd: string, name: string, args = '', env: Record<string, string> = {}) {
  const command = `${scripts[name]} ${args}`
    .replaceAll('./src/', `${ROOT}src/`)
    .replace(/ ((src|scripts)\/)/g, ` ${ROOT}$1`)
  const { PATH, ...others } = inherited()
  const path = `${join(ROOT, 'node_modules/.bin')}:${PATH}`
  const child = spawn('sh', ['-c', command], { cwd, env: { ...others, PATH: path, ...env } })
  t.teardown(() => child.kill('SIGKILL'))
  const [[code], stdout, stderr] = await Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)])
  return { code, stdout, stderr }
}

const COMMANDS: [name: string, args: string][] = [
  ['start', ''],
  ['keys', 'list'],
  ['accounts', 'list'],
  ['clients', 'list'],
]

t.test('server and scripts read the same .env', async (t) => {
  const dir = await folder(t, 'ACCESS_TOKEN_TTL=5\nHOST="a b"\n')
  const refused = /^\w+: error: settings: ACCESS_TOKEN_TTL: "5" is not accepted/
  for (const [name, args] of COMMANDS) {
    const { code, stdout, stderr } = await npmRun(t, dir, name, args)
    t.equal(code, 1, name)
    t.equal(stdout, '', name)
    t.match(stderr, refused, name)
  }
})

t.test('a script works with the settings of the file, and those of the environment win', async (t) => {
  const dir = await folder(t, 'KEYS_DIR=from-file # a comment\nJWKS_MAX_AGE=60\n')
  t.match(await npmRun(t, dir, 'keys', 'rotate'), { code: 0, stderr: '' })
  t.match(await npmRun(t, dir, 'keys', 'rotate', { KEYS_DIR: 'from-environment' }), { code: 0, stderr: '' })
  t.same(await readdir(dir), ['.env', 'from-environment', 'from-file'])
  t.match(
    await npmRun(t, dir, 'keys', 'rotate --lead 70s'),
    { code: 0, stdout: /signs in/ },
    'the other setting holds too',
  )
})

t.test('no file is no word, and a file that can not be read is an error', async (t) => {
  t.match(await npmRun(t, await folder(t), 'keys', 'list'), { code: 0, stderr: '' })
  const dir = await folder(t)
  await mkdir(join(dir, '.env'))
  for (const [name, args] of COMMANDS) {
    const stderr = "signet: error: can't read .env: EISDIR\nhint: make it readable, or remove it\n"
    t.same(await npmRun(t, dir, name, args), { code: 1, stdout: '', stderr }, name)
  }
})
