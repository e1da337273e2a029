import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startApp } from '../support/app.ts'

const LIVE = 'GET /health/live HTTP/1.1\r\nHost: x\r\n'

/** A listening server with short time-outs; Node checks once a second which connections exceed one. */
async function listening(t: Test, env: Record<string, string> = {}) {
  const { app, log } = await startApp(t, { env })
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  Object.assign(app.server, {
    headersTimeout: 100,
    requestTimeout: 200,
    keepAliveTimeout: 100,
    keepAliveTimeoutBuffer: 0,
  })
  return { app, log, port: Number(port) }
}

/** Opens a connection and collects what comes. */
function dial(
  port: number,
  text = '',
  options: { allowHalfOpen?: boolean } = {},
): { socket: Socket; closed: Promise<string> } {
  const socket = connect({ port, host: '127.0.0.1', ...options }, () => text !== '' && socket.write(text))
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  socket.on('error', () => undefined) // a reset is an end too
  return { socket, closed: new Promise((resolve) => socket.on('close', () => resolve(answer))) }
}

t.test('the limits of a real server, each on purpose', async (t) => {
  const { app } = await startApp(t)
  t.match(app.server, {
    headersTimeout: 10_000,
    requestTimeout: 10_000,
    timeout: 60_000,
    keepAliveTimeout: 65_000,
    maxRequestsPerSocket: 0,
    maxConnections: 20_000,
  })
  t.equal(app.initialConfig.bodyLimit, 16_384)
})

const SLOW: [name: string, text: string, answer: RegExp][] = [
  ['who says nothing', '', /^(HTTP\/1.1 408 .*request_timeout.*)?$/s],
  ['half a request line', 'GET /hea', /^HTTP\/1.1 408 .*"code":"request_timeout"/s],
  ['headers without an end', `${LIVE}X: `, /^HTTP\/1.1 408 .*"code":"request_timeout"/s],
  [
    'a body that does not come',
    'POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"email"',
    /^HTTP\/1.1 408 .*"code":"request_timeout"/s,
  ],
  [
    'chunks without an end',
    'POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"ema\r\n',
    /^HTTP\/1.1 408 .*"code":"request_timeout"/s,
  ],
  ['a second request that never ends', `${LIVE}\r\n${LIVE}`, /^HTTP\/1.1 200 /],
  ['who stays for another request that never comes', `${LIVE}\r\n`, /^HTTP\/1.1 200 /],
]

t.test('slow and silent clients are cut off, all at once, and others do not notice', async (t) => {
  const { app, port } = await listening(t)
  const answers = SLOW.map(([, text]) => dial(port, text).closed)
  t.equal((await app.inject('/health/live')).statusCode, 200)
  for (const [index, [name, , answer]] of SLOW.entries()) t.match(await answers[index], answer, name)
  await settled(app)
})

t.test('who trickles one byte at a time is cut off all the same', async (t) => {
  const { app, port } = await listening(t)
  const { socket, closed } = dial(port, LIVE)
  await once(socket, 'connect') // a byte before that would stand before the request line
  const trickle = setInterval(() => socket.write('X'), 20)
  t.teardown(() => clearInterval(trickle))
  t.match(await closed, /408/)
  await settled(app)
})

t.test('a half-open connection: an end without a request, or right after one, leaves nothing behind', async (t) => {
  const { app, port } = await listening(t)
  for (const text of ['', 'GET /hea', `${LIVE}\r\n`]) {
    const { socket, closed } = dial(port, text, { allowHalfOpen: true })
    await once(socket, 'connect')
    socket.end()
    await closed
  }
  const { socket } = dial(port, `${LIVE}\r\n`)
  await once(socket, 'data')
  socket.resetAndDestroy()
  await settled(app)
})

t.test('a hundred headers are taken, one more is too many, and so are 16 KB', async (t) => {
  const { port } = await listening(t)
  const withHeaders = (count: number) =>
    dial(port, `${LIVE}Connection: close\r\n${'x: y\r\n'.repeat(count - 2)}\r\n`).closed
  t.match(await withHeaders(100), /^HTTP\/1.1 200/)
  t.match(await withHeaders(101), /^HTTP\/1.1 431 .*"code":"headers_too_large"/s)
  t.match(await withHeaders(2500), /^HTTP\/1.1 431 .*"code":"headers_too_large"/s)
  t.match(await dial(port, `${LIVE}x: ${'y'.repeat(17_000)}\r\n\r\n`).closed, /^HTTP\/1.1 431 .*headers_too_large/s)
  t.match(await dial(port, `GET /${'y'.repeat(17_000)} HTTP/1.1\r\n\r\n`).closed, /^HTTP\/1.1 431 /s)
})

t.test('33 requests at a time on one connection are answered in order, as often as one likes', async (t) => {
  const { app, port } = await listening(t)
  Object.assign(app.server, { headersTimeout: 60_000, requestTimeout: 60_000, keepAliveTimeout: 60_000 })
  const { socket, closed } = dial(port)
  const mixed = `${LIVE}\r\n${'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(32)}`
  for (let batch = 1; batch <= 3; batch += 1) {
    let statuses: (string | undefined)[] = []
    let text = ''
    socket.write(mixed)
    while (statuses.length < 33) {
      text += (await once(socket, 'data'))[0]
      statuses = [...text.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status)
    }
    t.same(statuses, ['200', ...Array(32).fill('404')])
  }
  socket.end()
  await closed
})

t.test('more at a time cut the connection off, and only that one', async (t) => {
  const { app, port } = await listening(t)
  const [, file] = /href="([^"]+\.css)"/.exec((await app.inject('/docs')).body) ?? []
  const flood = dial(port, `GET /${file} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(500))
  const answers = [...(await flood.closed).matchAll(/HTTP\/1.1 (200|404)/g)].map(([, status]) => status)
  t.notOk(answers.includes('404'))
  t.ok(answers.length <= 33, `${answers.length} answers`)
  await settled(app)
  t.match(await dial(port, `${LIVE}Connection: close\r\n\r\n`).closed, /^HTTP\/1.1 200/)
})

t.test('connections over the limit are closed at once, told once, and there is room again afterwards', async (t) => {
  const { app, log, port } = await listening(t, { MAX_CONNECTIONS: '3' })
  Object.assign(app.server, { headersTimeout: 60_000, requestTimeout: 60_000 })
  const held = [dial(port), dial(port), dial(port)]
  await Promise.all(held.map(({ socket }) => once(socket, 'connect')))
  for (let i = 0; i < 5; i += 1) t.equal(await dial(port, `${LIVE}\r\n`).closed, '')
  t.equal(log.filter((line) => line.includes('connections are refused')).length, 1)
  for (const { socket } of held) socket.destroy()
  await settled(app)
  t.match(await dial(port, `${LIVE}Connection: close\r\n\r\n`).closed, /^HTTP\/1.1 200/)
})

/** Resolves when the server holds no connection any more. The test's own time limit ends it when one is left behind. */
async function settled(app: { server: { getConnections(done: (error: Error | null, count: number) => void): void } }) {
  const count = () => new Promise<number>((resolve) => app.server.getConnections((_error, count) => resolve(count)))
  while ((await count()) > 0) await sleep(20)
}
