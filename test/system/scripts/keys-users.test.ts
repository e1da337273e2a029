import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { chmod, chown, cp, lchown, lstat, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { PASSWORD, temporaryFolder } from '../../support/app.ts'
import { runScript } from '../../support/scripts.ts'
import { ROOT, run } from '../../support/service.ts'
import { KID, lines, MADE_STANDBY } from './keys-script.ts'

// Real users and real modes: the script as root, as the user of the server, and as somebody else. Most runs are those
// of one process, which changes its effective user.

const SERVICE = { uid: 54_321, gid: 54_322 }
const OTHER = { uid: 54_323, gid: 54_324 }

const reason = whyNot()
/** Only root can become other users, and these must be able to run the code: by its whole path, not from inside. */
function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, to run the script as other users'
  const test = 'test -x "$0" && test -r "$1"'
  const { status } = spawnSync('sh', ['-c', test, process.execPath, join(ROOT, 'src/server.ts')], {
    cwd: '/',
    ...OTHER,
  })
  return status === 0 ? false : 'other users may not read this checkout'
}

/** A folder of the user of the server; the one above it can be entered by everybody. */
async function home(t: Test) {
  const dir = await temporaryFolder(t)
  await chmod(dir, 0o755)
  const keysDir = join(dir, 'keys')
  const env = { KEYS_DIR: keysDir }
  const keys = (args: string, as: { uid?: number; gid?: number } = {}) =>
    args === 'check' && as.uid !== undefined // which asks what the real user may do, not the effective one
      ? run(t, 'scripts/keys.ts', [args], env, '', as).finished
      : runScript('scripts/keys.ts', args.split(' '), env, { as })
  return { dir, keysDir, keys }
}

async function owned(path: string, { uid, gid } = SERVICE) {
  await chown(path, uid, gid)
}

async function owners(dir: string): Promise<string[]> {
  const paths = [dir, ...(await readdir(dir)).map((name) => join(dir, name))]
  const stats = await Promise.all(paths.map((path) => lstat(path)))
  return [...new Set(stats.map(({ uid, gid }) => `${uid}:${gid}`))]
}

t.test('what root makes is for the user of the server', { skip: reason }, async (t) => {
  const { dir, keysDir, keys } = await home(t)
  await owned(dir)
  const first = await run(t, 'scripts/keys.ts', ['rotate'], { KEYS_DIR: keysDir }).finished // a process that stays it
  t.match(first, { code: 0, stderr: '', stdout: lines(`key ${KID} is the first; .*`, MADE_STANDBY) })
  const service = `${SERVICE.uid}:${SERVICE.gid}`
  t.same(await owners(keysDir), [service], 'the folder, the keys, the manifest and the lock')
  t.match(await keys('rotate', SERVICE), { code: 0, stderr: '' }, 'which can go on by itself')
  t.match(await keys('check'), { code: 0 })

  const pem = join(await temporaryFolder(t), 'only-root.pem')
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await writeFile(pem, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  t.match(await keys(`import ${pem}`), { code: 1, stderr: /waits already/ }, 'a file of root is read as root')
  t.match(await keys('rotate-refresh'), { code: 0 })
  t.same(await owners(keysDir), [service])
})

t.test('and so is the database that root makes with the other scripts', { skip: reason }, async (t) => {
  const { dir } = await home(t)
  await owned(dir)
  const data = join(dir, 'data')
  const env = { DATABASE_URL: `sqlite:${join(data, 'signet.db')}` }
  const script = (name: string, args: string[], as = {}) =>
    runScript(`scripts/${name}.ts`, args, env, { stdin: PASSWORD, as })
  t.match(await script('clients', ['create', '--name', 'x']), { code: 0, stderr: '' })
  t.match(await script('accounts', ['create', '--email', 'a@b.co']), { code: 0, stderr: '' })
  t.same(await owners(data), [`${SERVICE.uid}:${SERVICE.gid}`])
  t.match(await script('accounts', ['suspend', 'a@b.co'], SERVICE), { code: 0, stderr: '' })
})

t.test('a checkout that only root can read says so, and keys are rotated all the same', { skip: reason }, async (t) => {
  const { dir, keysDir, keys } = await home(t)
  await owned(dir)
  const checkout = await temporaryFolder(t) // mode 0700
  for (const part of ['src', 'scripts', 'package.json'])
    await cp(join(ROOT, part), join(checkout, part), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(checkout, 'node_modules'))
  const file = join(dir, 'signet.db')
  const env = { KEYS_DIR: keysDir, DATABASE_URL: `sqlite:${file}` }
  const script = (name: string, args: string[]) =>
    run(t, join(checkout, `scripts/${name}.ts`), args, env, PASSWORD).finished
  const why = `user ${SERVICE.uid}, as whom this script works on the data, can't read its code: .*/src/db/sqlite-worker.ts`
  for (const [name, args] of [
    ['accounts', ['create', '--email', 'a@b.co']],
    ['clients', ['list']],
  ] as const)
    t.match(await script(name, [...args]), {
      code: 1,
      stderr: lines(`${name}: error: ${why}`, `hint: put src, scripts and node_modules where user ${SERVICE.uid} .*`),
    })
  await keys('rotate')
  t.match(await script('keys', ['rotate']), { code: 0, stderr: '' }, 'which needs no more code')
  await writeFile(file, '')
  t.match(await script('keys', ['check']), { code: 0, stdout: new RegExp(`remark: .*: ${why}`) })
})

t.test('a link named .lock leads root nowhere', { skip: reason }, async (t) => {
  const { keysDir, keys } = await home(t)
  const outside = await temporaryFolder(t)
  await mkdir(keysDir)
  const there = join(outside, 'there')
  await writeFile(there, '', { mode: 0o644 })
  for (const folderOwner of [{ uid: 0, gid: 0 }, SERVICE]) {
    await owned(keysDir, folderOwner)
    for (const target of [there, join(outside, 'not-there')]) {
      await symlink(target, join(keysDir, '.lock'))
      const stderr = /^keys: error: KEYS_DIR: .*\.lock is not a plain file of this folder\nhint: .*rm .*\.lock\n$/
      t.match(await keys('rotate'), { code: 1, stderr })
      t.match((await keys('check')).stdout, /\.lock is not a plain file of this folder\n {2}mend: .*rm /)
      const { status } = spawnSync('rm', [join(keysDir, '.lock')])
      t.equal(status, 0)
    }
  }
  t.same(await readdir(outside), ['there'], 'nothing was made')
  t.equal((await stat(there)).mode & 0o777, 0o644, 'and no mode changed')
})

t.test('a keys folder that is a link of the service leads root nowhere', { skip: reason }, async (t) => {
  const { dir, keysDir, keys } = await home(t)
  await owned(dir)
  const ofRoot = await temporaryFolder(t)
  await symlink(ofRoot, keysDir)
  await lchown(keysDir, SERVICE.uid, SERVICE.gid)
  t.match(await keys('rotate'), { code: 1 })
  t.same(await readdir(ofRoot), [], 'root wrote nothing')
})

/** These tests have no database. */
const NOT_COMPARED = ['remark: not compared with .*', '  mend: run check where .*']

t.test('check names what root left, before it acted as the owner', { skip: reason }, async (t) => {
  const { keysDir, keys } = await home(t)
  await mkdir(keysDir)
  await owned(keysDir)
  await keys('rotate')
  await chown(join(keysDir, '.lock'), 0, 0)
  const mend = `chown ${SERVICE.uid}:${SERVICE.gid} .*\\.lock`
  t.match(await keys('check', SERVICE), {
    code: 1,
    stdout: lines(
      `.*\\.lock belongs to root and the folder to user ${SERVICE.uid}: .*`,
      `  mend: ${mend}`,
      ...NOT_COMPARED,
    ),
  })
  t.match(await keys('rotate', SERVICE), { code: 1, stderr: /can't write in/ })
  t.match(await keys('rotate'), { code: 0, stderr: '' }, 'root goes on, and puts it right')
  t.match(await keys('prune', SERVICE), { code: 0, stderr: '' })
})

t.test('another user is told just that, and nothing is called lost or damaged', { skip: reason }, async (t) => {
  const { keysDir, keys } = await home(t)
  await mkdir(keysDir, { mode: 0o700 })
  await owned(keysDir)
  await keys('rotate')
  const mend = `  mend: run this as the user of the server \\(the folder is user ${SERVICE.uid}'s\\).*`
  const folder = `keys: can't list the folder ${keysDir}: EACCES`
  t.match(await keys('check', OTHER), { code: 1, stdout: lines(folder, mend) })
  t.match(await keys('list-refresh', OTHER), { code: 1, stdout: '', stderr: `keys: error: ${folder}\n` })
  t.match(await keys('list', OTHER), { code: 1, stdout: '', stderr: /can't list the folder .*EACCES/ })

  await chmod(keysDir, 0o755)
  const found = await keys('check', OTHER)
  t.match(found, {
    code: 1,
    stdout: lines(`keys: can't read .*: EACCES \\(and 2 more of the keys\\)`, mend, ...NOT_COMPARED),
  })
  t.match((await keys('list-refresh', OTHER)).stderr, /can't read the refresh key .*EACCES\nhint: run this as the user/)
  t.match(await keys('list', OTHER), { code: 0 }, 'the manifest is public')

  const env = { KEYS_DIR: keysDir, NODE_ENV: 'production', DATABASE_URL: 'sqlite::memory:', PORT: '0' }
  const boot = { ...env, ISSUER: 'https://signet.test' }
  const { code, stderr } = await run(t, 'src/server.ts', [], boot, '', OTHER).finished
  t.equal(code, 1)
  t.match(stderr, /^signet: error: keys: can't read the private key .*: EACCES\nhint: .*fsGroup/)
  t.notMatch(found.stdout + stderr, /damaged|restore|revoke|delete/)
})

t.test('a mounted Secret is in order with mode 0440 for the group of a pod', { skip: reason }, async (t) => {
  const { keysDir, keys } = await home(t)
  await keys('rotate')
  const files = (await readdir(keysDir)).filter((name) => name !== '.lock').map((name) => join(keysDir, name))
  const mounted = async (mode: number) => {
    for (const path of [...files, keysDir]) await chown(path, 0, OTHER.gid)
    for (const path of files) await chmod(path, mode)
    await chmod(keysDir, 0o550)
  }
  const pod = { uid: OTHER.uid, gid: OTHER.gid }
  await mounted(0o440)
  t.match(await keys('check', pod), { code: 0, stdout: `${keysDir} is in order\n` })
  await mounted(0o444)
  const open = await keys('check', pod)
  t.equal(open.code, 1)
  t.match(open.stdout, /has mode 444: others can read it\n {2}mend: .*defaultMode: 0400 .* fsGroup/)
  t.notMatch(open.stdout, /chmod/, 'which a pod can not do')
  await mounted(0o400)
  t.match((await keys('check', pod)).stdout, /EACCES\n {2}mend: let the user of the server read .*fsGroup in/)
  await mounted(0o440)
  await chmod(keysDir, 0o770)
  t.match((await keys('check', pod)).stdout, /\.pem has mode 440: others can read it\n {2}mend: chmod 600/)
})

t.test('root sees a read-only mount as what it is', { skip: reason }, async (t) => {
  const { keysDir, keys } = await home(t)
  await keys('rotate')
  for (const name of await readdir(keysDir)) if (name !== '.lock') await chmod(join(keysDir, name), 0o440)
  await chmod(keysDir, 0o777) // as Kubernetes mounts it
  const mount = (...args: string[]) => spawnSync('mount', args).status
  if (mount('--bind', keysDir, keysDir) !== 0 || mount('-o', 'remount,bind,ro', keysDir) !== 0)
    return t.comment('skipped: nothing can be mounted here')
  try {
    t.match(await keys('check'), { code: 0, stdout: `${keysDir} is in order\n` })
    t.match(await keys('rotate'), { code: 1, stderr: /^keys: error: KEYS_DIR: can't write in .*: EROFS\nhint: / })
  } finally {
    spawnSync('umount', [keysDir])
  }
})
