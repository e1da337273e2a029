import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { publicJwk } from '../../../src/keys/jwk.ts'
import { generatePrivateKey } from '../../../src/keys/private-keys.ts'
import { temporaryFolder } from '../../support/app.ts'
import { login as loginOn, postLogin, postRefresh, register, run, startServer, stopped } from '../../support/service.ts'
import { EMAIL, kidOf, kids, login, me, readiness, replace, script, soon } from './live-server.ts'

t.test('one running server and its keys folder', async (t) => {
  const server = await startServer(t)
  await register(server, EMAIL)

  await t.test(
    'a folder that can not be used is reported once, and the keyring from before stays in force',
    async (t) => {
      const token = await login(server)
      const path = join(String(server.env.KEYS_DIR), 'keyring.json')
      const good = await readFile(path, 'utf8')
      const before = await kids(server)

      const DAMAGE: [name: string, text: string][] = [
        ['half a file', good.slice(0, 200)],
        ['an empty keyring', '{"version":1,"keys":[]}'],
        ['a missing private key', good.replaceAll(before[0] ?? '', 'A'.repeat(43))],
      ]
      for (const [name, text] of DAMAGE) {
        await replace(path, text)
        await soon(t, `${name} is noticed`, async () => (await readiness(server)).checks.keyring === 'stale')
        t.equal((await readiness(server)).status, 'ok', 'it can still issue tokens')
        t.same(await kids(server), before)
        t.equal(await me(server, token), 200)
        t.equal((await postLogin(server, EMAIL)).status, 200)
        await replace(path, good)
        await soon(t, 'it is mended', async () => (await readiness(server)).checks.keyring === 'ok')
      }
      await rm(path)
      await soon(t, 'a missing manifest is noticed', async () => (await readiness(server)).checks.keyring === 'stale')
      await replace(path, good)
      await soon(t, 'it is mended', async () => (await readiness(server)).checks.keyring === 'ok')
      const reports = server
        .output()
        .split('\n')
        .filter((line) => line.includes('the keyring from before stays'))
      t.equal(reports.length, DAMAGE.length + 1, 'each was logged once')
    },
  )

  await t.test('a revoked refresh key is refused too while the rest of the folder can not be used', async (t) => {
    // One session per try: a refresh while the keys change may return a token of the new key, which is not refused.
    const tokens: string[] = []
    for (let i = 0; i < 12; i += 1) tokens.push((await loginOn(server, EMAIL)).refresh)
    const refresh = async () => (await postRefresh(server, { refresh: tokens.pop() ?? '' })).status
    const dir = String(server.env.KEYS_DIR)
    const path = join(dir, 'keyring.json')
    const good = await readFile(path, 'utf8')
    await replace(path, good.slice(0, 200))
    await soon(t, 'half a manifest is noticed', async () => (await readiness(server)).checks.keyring === 'stale')
    t.equal(await refresh(), 200, 'that takes nothing away')

    const file = (await readdir(dir)).find((name) => name.startsWith('refresh-')) ?? ''
    t.match(await script(server, 'revoke-refresh', file.slice('refresh-'.length, -'.json'.length)), { code: 0 })
    await soon(t, 'the token is refused', async () => (await refresh()) === 401, 300)
    t.equal((await postLogin(server, EMAIL)).status, 200, 'the key that took its place is in use')

    const [heir = ''] = (await readdir(dir)).filter((name) => /^refresh-.*\.json$/.test(name))
    await rename(join(dir, heir), join(dir, '..', heir))
    await writeFile(join(dir, `refresh-${'A'.repeat(11)}.json`), 'damaged')
    await soon(t, 'with none left nobody is told to log in again', async () => (await refresh()) === 503, 300)
    t.equal((await fetch(`${server.url}/health/ready`)).status, 503)

    await rm(join(dir, `refresh-${'A'.repeat(11)}.json`))
    await rename(join(dir, '..', heir), join(dir, heir))
    await soon(t, 'the key is back', async () => (await postLogin(server, EMAIL)).status === 200)
    await replace(path, good)
    await soon(t, 'all is mended', async () => (await readiness(server)).checks.keyring === 'ok')
  })

  await t.test('a running server follows the scripts: rotation, then an emergency', async (t) => {
    const token = await login(server)
    t.equal(await me(server, token), 200)

    await script(server, 'rotate')
    await soon(t, 'the next standby key is published', async () => (await kids(server)).length === 3)
    t.equal(kidOf(await login(server)), kidOf(token), 'and the one before does not sign yet')

    await script(server, 'revoke', kidOf(token))
    await soon(
      t,
      'the revoked key is refused, though its token was in the cache',
      async () => (await me(server, token)) === 401,
    )
    t.notOk((await kids(server)).includes(kidOf(token)))
    const fresh = await login(server)
    t.not(kidOf(fresh), kidOf(token))
    t.equal(await me(server, fresh), 200)
  })
})

t.test('a revoked key is refused at once, even when its successor can not be read', async (t) => {
  const server = await startServer(t)
  await register(server, EMAIL)
  const token = await login(server)
  const path = join(String(server.env.KEYS_DIR), 'keyring.json')
  const [current, standby] = JSON.parse(await readFile(path, 'utf8')).keys
  const at = current.created_at
  const jwk = publicJwk(await generatePrivateKey(2048)) // its private half is not in the folder
  const ended = { sign_until: at, verify_until: at, revoked_at: at }
  const revoked = { ...current, ...ended }
  const successor = { ...current, sign_until: null, verify_until: null, kid: jwk.kid, jwk }
  await replace(path, JSON.stringify({ version: 1, keys: [revoked, successor] }))

  await soon(t, 'the token is refused', async () => (await me(server, token)) === 401)
  t.same(await kids(server), [standby.kid], 'the standby key from before takes over')
  const next = await login(server)
  t.equal(kidOf(next), standby.kid)

  await replace(
    path,
    JSON.stringify({ version: 1, keys: [revoked, { ...standby, ...ended, sign_from: at }, successor] }),
  )
  await soon(t, 'its token is refused too', async () => (await me(server, next)) === 401)
  t.same(await kids(server), [])
  t.equal((await postLogin(server, EMAIL)).status, 503, 'nothing is signed with it any more')
  t.equal((await fetch(`${server.url}/health/ready`)).status, 503)
})

t.test('the symlinks that Kubernetes swaps are followed, and SIGHUP does no harm', async (t) => {
  const source = await startServer(t)
  const from = String(source.env.KEYS_DIR)
  const mount = join(await temporaryFolder(t), 'mount')
  await mkdir(mount)
  const files = async () => (await readdir(from)).filter((name) => /\.(json|pem)$/.test(name))
  const publish = async (version: string) => {
    await mkdir(join(mount, version))
    for (const name of await files()) {
      await writeFile(join(mount, version, name), await readFile(join(from, name)), { mode: 0o600 })
      await symlink(join('..data', name), join(mount, name)).catch(() => undefined)
    }
    await symlink(version, join(mount, '..data_tmp'))
    await rename(join(mount, '..data_tmp'), join(mount, '..data'))
  }
  await publish('..v1')
  const server = await startServer(t, { KEYS_DIR: mount, NODE_ENV: 'production', ISSUER: 'http://signet.test' })
  t.same(await kids(server), await kids(source))

  await script(source, 'rotate')
  await soon(t, 'the source has one more key', async () => (await kids(source)).length === 3)
  await publish('..v2')
  server.child.kill('SIGHUP')
  await soon(t, 'the mount has one more key', async () => (await kids(server)).length === 3)
  t.equal((await fetch(`${server.url}/health/live`)).status, 200)

  await t.test('settings that break the plan that waits there are refused at boot', async (t) => {
    await stopped(source)
    const { code, stderr } = await run(t, 'src/server.ts', [], { ...source.env, JWKS_MAX_AGE: '3600' }).finished
    t.equal(code, 1)
    t.match(
      stderr,
      /^signet: error: keys: .* is published 90\d s before it signs, and JWKS_MAX_AGE and CLOCK_SKEW ask for 3608 s\nhint: .*\n$/,
    )
  })
})
