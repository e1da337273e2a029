import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createExportAudit } from '../../src/administration/export-audit.ts'
import { bearer, type TestServer } from '../support/app.ts'
import { claimsOf, signUpAdmin } from '../support/front-door.ts'
import { NOW } from '../support/oauth.ts'
import { call } from '../support/people.ts'
import { fill, LINES, parsed, stage, write } from './audit-stage.ts'

// An export of the audit trail is a stream: slow clients, clients that leave, a store that fails.

/** Starts an export over a socket. */
async function exporting(
  t: Test,
  { app, token }: Pick<Awaited<ReturnType<typeof stage>>, 'app' | 'token'>,
): Promise<IncomingMessage> {
  const { port } = app.server.address() as AddressInfo
  const request = get({ port, host: '127.0.0.1', path: '/v1/admin/audit', headers: { ...bearer(token), ...LINES } })
  t.teardown(() => request.destroy())
  request.on('error', () => undefined)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return response
}

/** The batches that were read, and what happens before the next one. */
function batches({ database }: Pick<TestServer, 'database'>) {
  const original = database.query.bind(database)
  const seen = { read: 0, before: async () => undefined as unknown }
  database.query = async (sql, params) => {
    if (sql.includes('FROM audit_events')) {
      seen.read += 1
      await seen.before()
    }
    return original(sql, params)
  }
  return seen
}

t.test('the store is asked as fast as the client reads, and no more once it has gone', async (t) => {
  const scene = await stage(t)
  const [one, two] = [await signUpAdmin(scene), await signUpAdmin(scene)]
  await scene.database.query('DELETE FROM audit_events')
  await fill(scene, 60_000)
  await scene.app.listen({ port: 0, host: '127.0.0.1' })
  const seen = batches(scene)
  const first = await exporting(t, { ...scene, token: one.access_token })
  t.equal(first.statusCode, 200)
  const again = await exporting(t, { ...scene, token: one.access_token })
  t.equal(again.statusCode, 429, 'nobody takes both places')
  const second = await exporting(t, { ...scene, token: two.access_token })
  t.equal(second.statusCode, 200)
  const third = await scene.lines()
  t.match([third.statusCode, third.json().code, third.headers['retry-after']], [429, 'too_many_requests', '10'])
  first.destroy()
  second.destroy()
  // Both have left when a next one is let in.
  for (let i = 0; i < 500; i += 1) {
    const reply = await scene.lines('?from=2030-01-01T00:00:00Z')
    if (reply.statusCode === 200) break
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const whole = 2 * (60_000 / 500)
  t.ok(seen.read < whole / 2, `${seen.read} batches of ${whole} were read`)
  const before = seen.read
  t.equal(parsed((await scene.lines()).body).length, 60_000)
  t.equal(seen.read - before, 60_000 / 500 + 1)
})

t.test('an export that fails half-way breaks off, so nobody takes it for a whole one', async (t) => {
  const scene = await stage(t)
  await fill(scene, 2000)
  await scene.app.listen({ port: 0, host: '127.0.0.1' })
  const seen = batches(scene)
  seen.before = async () => {
    if (seen.read === 3) throw new Error('the store is gone')
  }
  const response = await exporting(t, scene)
  let text = ''
  await t.rejects(async () => {
    for await (const chunk of response) text += chunk
  })
  t.equal(parsed(text).length, 1000)
  seen.read = 2
  t.equal((await scene.lines()).statusCode, 500, 'before the first line it is an error like any other')
  for (let i = 0; i < 3; i += 1) t.equal((await scene.lines()).statusCode, 200, 'and no place is lost')
})

t.test('an export ends with the second in which it began', async (t) => {
  const scene = await stage(t)
  await write(scene, [
    [NOW, {}],
    [NOW + 1, {}],
  ])
  t.equal(parsed((await scene.lines()).body).length, 1)
  t.equal((await scene.read()).json().events.length, 2)
})

t.test('an export breaks off when its token is revoked meanwhile', async (t) => {
  const scene = await stage(t)
  await fill(scene, 2000)
  await scene.app.listen({ port: 0, host: '127.0.0.1' })
  const other = await signUpAdmin(scene)
  const { sub } = claimsOf({ access_token: scene.token })
  const seen = batches(scene)
  seen.before = async () => {
    if (seen.read === 2)
      t.equal((await call(scene.app, other.access_token, 'POST', `/v1/admin/accounts/${sub}/revoke`)).statusCode, 204)
  }
  const response = await exporting(t, scene)
  let text = ''
  await t.rejects(async () => {
    for await (const chunk of response) text += chunk
  })
  t.ok(parsed(text).length <= 1000)
  t.ok(seen.read <= 2, `${seen.read} batches were read`)
})

t.test('a caller who goes before the first line, or after the last one, leaves the place', async (t) => {
  const scene = await stage(t)
  await fill(scene, 2000)
  await scene.app.listen({ port: 0, host: '127.0.0.1' })
  const seen = batches(scene)
  const { port } = scene.app.server.address() as AddressInfo
  const request = get({
    port,
    host: '127.0.0.1',
    path: '/v1/admin/audit',
    headers: { ...bearer(scene.token), ...LINES },
  })
  request.on('error', () => undefined)
  const gone = new Promise((resolve) => scene.app.server.once('connection', (socket) => socket.once('close', resolve)))
  seen.before = async () => {
    request.destroy()
    await gone
  }
  await gone
  seen.before = async () => undefined
  for (let i = 0; i < 500 && (await scene.lines()).statusCode !== 200; i += 1)
    await new Promise((resolve) => setTimeout(resolve, 10))
  for (let i = 0; i < 3; i += 1) t.equal(parsed((await scene.lines()).body).length, 2000)
})

t.test('an export that finds nothing stops when its reader goes', async (t) => {
  let read = 0
  const trail = {
    page: async () => {
      read += 1
      await new Promise((resolve) => setImmediate(resolve))
      return { events: [], lookedTo: read < 1000 ? { createdAt: read, id: 'x' } : undefined }
    },
  }
  const exportAudit = createExportAudit({ trail, line: () => '', now: () => NOW })
  const stream = await exportAudit({ event: 'none' }, undefined, { actorId: 'acc_x', assertAllowed: () => undefined })
  stream.resume()
  setImmediate(() => stream.destroy())
  await once(stream, 'close')
  t.ok(read < 10, `${read} pages were read`)
})

t.test('an event is one line for every reader, whatever somebody sends as User-Agent', async (t) => {
  const scene = await stage(t)
  const userAgent = 'a\u0085b\u2028c\u2029d\u009be\nf\r'
  await write(scene, [[NOW - 1, { source: { ip: null, userAgent, requestId: null } }]])
  const { body } = await scene.lines()
  t.notMatch(body.slice(0, -1), /[\n\r\u007f-\u009f\u2028\u2029]/)
  t.equal(JSON.parse(body).user_agent, userAgent)
})
