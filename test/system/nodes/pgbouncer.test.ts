import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { noPgbouncer, startPgbouncer } from '../../support/pgbouncer.ts'
import { postgresUrl } from '../../support/postgres.ts'
import { accounts } from '../../support/scripts.ts'
import {
  login,
  logout,
  postLogin,
  postRefresh,
  register,
  said,
  sharedSettings,
  tokensOf,
  twoNodes,
  verdict,
} from '../../support/service.ts'
import { PASSWORD } from '../../support/settings.ts'
import { measureRevocations } from './measure.ts'

// Two servers behind one PgBouncer in transaction mode, which is otherwise at its defaults. They can't be notified of
// each other's revocations: polling alone has to keep the promise.

t.test('two servers behind PgBouncer', { skip: noPgbouncer }, async (t) => {
  const bouncer = await startPgbouncer(t, await postgresUrl(t))
  const nodes = await twoNodes(t, await sharedSettings(t, { DATABASE_URL: bouncer.url }))
  const [one, other] = nodes
  for (const node of nodes) {
    await said(node, 'lead through a connection pooler')
    t.equal(node.output().split('connection pooler').length, 2, 'said once')
  }
  await measureRevocations(t, nodes, 1, 1)

  await register(one, 'ada@example.com')
  const [old, current] = [await login(one, 'ada@example.com'), await login(other, 'ada@example.com')]
  const changed = await fetch(`${one.url}/v1/me/password`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${current.access}` },
    body: JSON.stringify({ current_password: PASSWORD, new_password: 'another long password' }),
  })
  const renewed = await tokensOf(changed)
  while ((await verdict(other, old)) === 200) await pause(15)
  t.equal((await postRefresh(other, old)).status, 401)
  t.equal((await postLogin(other, 'ada@example.com')).status, 401, 'the old password')
  const [refreshed] = await Promise.all([tokensOf(await postRefresh(other, renewed)), accounts(one.env, 'list')])
  t.equal(await verdict(one, refreshed), 200)

  await bouncer.stop()
  t.equal(await verdict(other, refreshed), 200, 'verifying needs no store')
  while ((await postRefresh(one, refreshed)).status !== 503) await pause(15)
  t.equal((await fetch(`${one.url}/health/ready`)).status, 503)
  await bouncer.start()
  let answer = await postRefresh(other, refreshed)
  for (; answer.status === 503; answer = await postRefresh(other, refreshed)) await pause(15)
  const last = await tokensOf(answer)
  await until200(`${one.url}/health/ready`)
  await logout(one, last)
  while ((await verdict(other, last)) === 200) await pause(15)
  t.equal(await verdict(other, last), 'invalid_token')
})

async function until200(url: string): Promise<void> {
  while ((await fetch(url)).status !== 200) await pause(15)
}
