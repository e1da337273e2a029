import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { PASSWORD } from '../../support/app.ts'
import { bothWorkers, connection, isAlive, workersOf } from '../../support/connections.ts'
import { runScript } from '../../support/scripts.ts'
import { isolated, run, type ServerProcess, said, startServer } from '../../support/service.ts'

// How several processes end: asked, killed, or because they can't go on.

const BODY = JSON.stringify({ email: 'ada@example.com', password: PASSWORD })
const login = `POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n`
const portOf = ({ url }: ServerProcess) => Number(new URL(url).port)

/** A request whose body is still to come. */
async function halfSent(server: ServerProcess): Promise<Socket> {
  const socket = connect(portOf(server), '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(login + BODY.slice(0, 5))
  return socket
}

async function portIsFree(port: number): Promise<void> {
  for (;;) {
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer().listen(port, '127.0.0.1')
      probe.once('error', () => resolve(false))
      probe.once('listening', () => probe.close(() => resolve(true)))
    })
    if (free) return
    await pause(20)
  }
}

/** Prints every loaded module that only several processes need. */
const SPY = `data:text/javascript,${encodeURIComponent(
  "import{registerHooks}from'node:module';registerHooks({resolve(s,c,n){if(/cluster/.test(s))process.stderr.write('LOADED '+s+'\\n');return n(s,c)}})",
)}`

for (const toAll of [false, true]) {
  t.test(`SIGTERM to ${toAll ? 'every process at once' : 'the primary'}: nobody is cut off, exit 0`, async (t) => {
    const server = await startServer(t, { WORKERS: '2', NODE_OPTIONS: `--import=${SPY}` })
    await bothWorkers(t, server) // both take connections
    const sockets = await Promise.all(Array.from({ length: 6 }, () => halfSent(server)))
    await connection(t, server) // what was sent before is in
    const workers = workersOf(server)
    for (const pid of toAll ? workers : []) process.kill(pid, 'SIGTERM')
    server.child.kill('SIGTERM')
    await said(server, 'requests in flight')
    await portIsFree(portOf(server))
    const answers = sockets.map((socket) => once(socket, 'data').then(([chunk]) => String(chunk)))
    for (const socket of sockets) socket.write(BODY.slice(5))
    for (const answer of await Promise.all(answers)) t.match(answer, /^HTTP\/1\.1 401 /, 'judged, not dropped')
    t.match(await server.finished, { code: 0 })
    t.match(server.output(), 'LOADED node:cluster', 'the spy of the last test here sees')
    t.notMatch(server.output(), 'another one takes its place')
    t.notOk(workers.some(isAlive))
  })
}

t.test('a second signal ends all of them at once, exit 1', async (t) => {
  const server = await startServer(t, { WORKERS: '2' })
  await halfSent(server)
  await connection(t, server)
  server.child.kill('SIGTERM')
  await said(server, 'requests in flight')
  server.child.kill('SIGTERM')
  t.match(await server.finished, { code: 1 })
  await portIsFree(portOf(server))
  while (workersOf(server).some(isAlive)) await pause(20)
  t.pass('no worker is left')
})

t.test('kill -9 of the primary leaves nobody behind, and the port is free', async (t) => {
  const server = await startServer(t, { WORKERS: '2' })
  await halfSent(server)
  process.kill(Number(server.child.pid), 'SIGKILL')
  await portIsFree(portOf(server))
  while (workersOf(server).some(isAlive)) await pause(20)
  t.match(await server.finished, { signal: 'SIGKILL' })
})

t.test('what can not start says so once, with a hint, exit 1', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  const env = { ...(await isolated(t)), WORKERS: '2' }
  t.match(await run(t, 'src/server.ts', [], { ...env, PORT: String(port) }).finished, {
    code: 1,
    stderr: new RegExp(`^signet: error: PORT: ${port} on 127.0.0.1 is in use\nhint: [^\n]+\n$`),
  })
  const inMemory = { ...env, DATABASE_URL: 'sqlite::memory:' }
  t.match(await runScript('src/server.ts', [], inMemory), {
    code: 1,
    stderr:
      /^signet: error: settings: WORKERS: 2 processes can't share DATABASE_URL=sqlite::memory: [^\n]+\nhint: [^\n]+\n$/,
  })
  t.match(await run(t, 'src/cluster/worker.ts', [], env).finished, { code: 1, stderr: /a part of the server/ })
})

/** Ends every worker but the first two as soon as it begins. */
const DOOMED = `data:text/javascript,${encodeURIComponent("import c from'node:cluster';if(c.worker?.id>2)process.exit(7)")}`

t.test('workers that keep dying end the server with the reason; until then the others go on', async (t) => {
  const server = await startServer(t, { WORKERS: '2', NODE_OPTIONS: `--import=${DOOMED}` })
  const [first = 0] = workersOf(server)
  process.kill(first, 'SIGKILL')
  await said(server, 'another one takes its place')
  const { process: answered } = await connection(t, server)
  t.not(answered, '')
  const { code, stderr } = await server.finished
  t.equal(code, 1)
  t.match(stderr, /^signet: error: WORKERS: workers keep ending .* with code 7\nhint: /)
  t.match(server.output(), /"signal":"SIGKILL"/)
})

t.test('one process loads nothing for several', async (t) => {
  const alone = await startServer(t, { NODE_OPTIONS: `--import=${SPY}` })
  t.notMatch(alone.output(), 'LOADED')
})
