import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import { bothWorkers, connection, isAlive, workersOf } from '../../support/connections.ts'
import { runScript } from '../../support/scripts.ts'
import { isolated, run, said, startServer } from '../../support/service.ts'
import { nobodyIsCutOff } from './half-sent.ts'

// How several processes end: asked, or because they can't go on. The servers of the other tests of workers end too: by
// a signal to the primary (workers.test.ts), a second one (workers-crash.test.ts), kill -9 (workers-nodes.test.ts).

/** Prints every loaded module that only several processes need. */
const SPY = `data:text/javascript,${encodeURIComponent(
  "import{registerHooks}from'node:module';registerHooks({resolve(s,c,n){if(/cluster/.test(s))process.stderr.write('LOADED '+s+'\\n');return n(s,c)}})",
)}`

t.test('SIGTERM to every process at once: nobody is cut off, exit 0', async (t) => {
  const server = await startServer(t, { WORKERS: '2', NODE_OPTIONS: `--import=${SPY}` })
  await bothWorkers(t, server) // both take connections
  const workers = workersOf(server)
  const ended = await nobodyIsCutOff(t, server, () => {
    for (const pid of workers) process.kill(pid, 'SIGTERM')
    server.child.kill('SIGTERM')
  })
  t.match(ended, { code: 0 })
  t.match(server.output(), 'LOADED node:cluster', 'the spy of the last test here sees')
  t.notMatch(server.output(), 'another one takes its place')
  t.notOk(workers.some(isAlive))
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
