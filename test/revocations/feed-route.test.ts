import { get } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { feedRoute } from '../../src/revocations/feed-route.ts'
import type { HangUp } from '../../src/revocations/feed-waits.ts'

// What the route asks of the feed. What the feed does is in feed-signing.test.ts, both together in feed.test.ts.

t.test('a wait is as long as it was asked for, in seconds', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const waits: number[] = []
  const newerThan = async (_etag: string, milliseconds: number) => waits.push(milliseconds) > 0
  const changes = async (_cursor: string, milliseconds: number) => {
    waits.push(milliseconds)
    return { lines: [], isTurnedAway: false }
  }
  const current = async () => ({ body: Buffer.from('x'), etag: '"one"' })
  feedRoute(app as never, { feed: { current, newerThan, changes, close: () => undefined, waiting: 0 } })
  for (const wait of [0, 1, 30])
    await app.inject({ url: `/.well-known/revocations?wait=${wait}`, headers: { 'if-none-match': '"one"' } })
  t.same(waits.splice(0), [1000, 30_000])
  for (const wait of [0, 1, 30]) await app.inject(`/.well-known/revocations?after=0&wait=${wait}`)
  t.same(waits, [0, 1000, 30_000])
})

t.test('a client that leaves before its place is taken takes none', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const document = { body: Buffer.from('x'), etag: '"one"' }
  const [reached, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const waited = Promise.withResolvers<HangUp>()
  feedRoute(app as never, {
    feed: {
      current: async () => {
        reached.resolve()
        await left.promise
        return document
      },
      newerThan: async (_etag, _milliseconds, client) => {
        waited.resolve(client)
        return false
      },
      changes: async () => ({ lines: [], isTurnedAway: false }),
      close: () => undefined,
      waiting: 0,
    },
  })
  app.addHook('onRequest', async ({ raw }) => void raw.socket.once('close', () => setImmediate(left.resolve)))
  await app.listen({ port: 0 })
  const { port } = app.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}/.well-known/revocations?wait=30`
  const poll = get(url, { headers: { 'if-none-match': document.etag }, agent: false }).on('error', () => undefined)
  await reached.promise
  poll.destroy()
  t.equal((await waited.promise).aborted, true)
})
