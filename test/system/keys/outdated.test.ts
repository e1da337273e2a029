import { cp, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../../support/app.ts'
import {
  login as loginOn,
  postRefresh,
  register,
  type ServerProcess,
  startServer,
  stopped,
} from '../../support/service.ts'
import {
  check,
  EMAIL,
  feedOf,
  kidOf,
  kids,
  login,
  me,
  readiness,
  script,
  soon,
  storedRevocations,
} from './live-server.ts'

t.test('a revoked key does not come back when an older keys folder is put in place', async (t) => {
  const server = await startServer(t, { METRICS_PORT: '0' })
  await register(server, EMAIL)
  const dir = String(server.env.KEYS_DIR)
  const older = join(dir, '..', 'older')
  await cp(dir, older, { recursive: true })
  /** As one change, with the refresh key that is in use by now: without one no server would start. */
  const putBack = async () => {
    const marked = `refresh-${id}.revoked`
    const names = (await readdir(dir)).filter((name) => name.startsWith('refresh-') && name !== marked)
    for (const name of names) await cp(join(dir, name), join(older, name))
    await rename(dir, `${dir}.newest`)
    await rename(older, dir)
  }
  const token = await login(server)
  const { refresh } = await loginOn(server, EMAIL)
  const kid = String(kidOf(token))
  const id = (await readdir(dir)).find((name) => name.endsWith('.json') && name.startsWith('refresh-'))?.slice(8, -5)
  await script(server, 'revoke', kid)
  await script(server, 'revoke-refresh', String(id))
  await soon(t, 'the key is refused', async () => (await me(server, token)) === 401)
  await soon(t, 'the store knows it', async () => (await storedRevocations(server)).length === 2)

  const refused = async (server: ServerProcess, whose: string) => {
    await soon(t, `${whose}: readiness says it`, async () => (await readiness(server)).checks.keyring === 'outdated')
    t.equal((await readiness(server)).status, 'ok', 'the key that took over signs on')
    t.equal(await me(server, token), 401, whose)
    t.notOk((await kids(server)).includes(kid), `${whose}: it is not published`)
    t.not(kidOf(await login(server)), kid, `${whose}: it signs nothing`)
    t.equal((await postRefresh(server, { refresh })).status, 401, `${whose}: nor does the refresh key come back`)
    t.same((await feedOf(server)).keys, [kid], `${whose}: the feed names it`)
    // A reload that was under way reads the manifest of one folder and the files of the other: it names one key only.
    const errors = () =>
      server
        .output()
        .split('\n')
        .filter((line) => line.includes('"event":"keys_outdated"'))
    const ofBoth = () => errors().filter((line) => JSON.parse(line).keys.length === 2)
    await soon(t, `${whose}: it is logged`, async () => ofBoth().length > 0)
    t.equal(ofBoth().length, 1, `${whose}: once`)
    t.match(JSON.parse(ofBoth()[0] ?? ''), { level: 'error', keys: [kid, id], msg: /npm run keys -- revoke/ })
  }
  await putBack()
  await refused(server, 'the running server')
  t.match(JSON.parse((await check(server, '--json')).stdout), [
    { severity: 'failure', problem: new RegExp(`^${kid} was revoked, and this folder holds it`), mend: /revoke/ },
    {
      severity: 'failure',
      problem: new RegExp(`^${id} was revoked, and this folder holds it`),
      mend: /revoke-refresh/,
    },
  ])

  await stopped(server)
  const next = await startServer(t, server.env)
  await refused(next, 'a server that starts with the older folder')

  await script(next, 'revoke', kid)
  await script(next, 'revoke-refresh', String(id))
  await soon(t, 'revoking again mends it', async () => (await readiness(next)).checks.keyring === 'ok')
  t.match(await check(next), { code: 0, stdout: /is in order\n$/ })
})

t.test('a revocation in one folder reaches a server with another copy of it through the store', async (t) => {
  const source = await startServer(t)
  await register(source, EMAIL)
  const token = await login(source)
  const copy = join(await temporaryFolder(t), 'keys')
  await cp(String(source.env.KEYS_DIR), copy, { recursive: true })
  const server = await startServer(t, { ...source.env, KEYS_DIR: copy, ISSUER: source.url })
  t.equal(await me(server, token), 200)
  await script(source, 'revoke', String(kidOf(token)))
  await soon(t, 'it is refused there too', async () => (await me(server, token)) === 401)
  t.match((await readiness(server)).checks, { keyring: 'outdated' })
  t.match(await check(server), { code: 1, stdout: /was revoked, and this folder holds it/ })
})
