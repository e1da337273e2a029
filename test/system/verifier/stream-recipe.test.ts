import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { linkVerifier, writeRecipe } from '../../../scripts/lab/bench/peers.ts'
import { bearer, newUser, startApp, temporaryFolder } from '../../support/app.ts'
import { freePort } from '../../support/free-port.ts'
import { run, said } from '../../support/service.ts'

// The recipe for server-sent events and its client, as the page prints them. Those for WebSockets need `ws` from npm:
// `npm run bench:watch`.

t.test('a stream of server-sent events ends when its session ends, and says no more than the code', async (t) => {
  const port = await freePort()
  const issuer = `http://127.0.0.1:${port}`
  const { app } = await startApp(t, { env: { ISSUER: issuer } })
  await app.listen({ port })
  const dir = await temporaryFolder(t)
  await mkdir(join(dir, 'node_modules'))
  await writeFile(join(dir, 'package.json'), '{ "type": "module" }')
  await linkVerifier(dir)
  const service = run(t, await writeRecipe({ dir }, 'events', 'sockets.md'), [], { ISSUER: issuer, AUDIENCE: issuer })
  await said(service, 'http://')
  const { events } = await import(await writeRecipe({ dir }, 'events-client', 'sockets.md'))
  const url = service.output().trim()

  await t.rejects(events(url, 'a.b.c').next(), { message: 'invalid_token' })
  const [stays, goes] = [await newUser(app), await newUser(app)]
  const other = events(url, stays.token)
  t.match(await other.next(), { value: { event: 'ready' } })
  const seen: { event: string; data: string }[] = []
  for await (const event of events(url, goes.token)) {
    seen.push(event)
    if (event.event === 'ready') await app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(goes.token) })
  }
  t.match(seen[0], { event: 'ready', data: '' })
  t.same(seen.at(-1), { event: 'over', data: 'invalid_token' })
  t.match(await other.next(), { value: { event: 'tick', data: stays.id }, done: false }, 'another session goes on')
  await other.return()
  await said(service, 'closed: revoked_session')
})
