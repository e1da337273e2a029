import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeRunFolder } from '../run-folder.ts'
import { logIn, register } from './client.ts'
import { makeHome, type Server, startSignet } from './server-process.ts'
import { takesNoOptions } from './takes-no-options.ts'

// Tests a real server with its real limits against clients that are slow, silent, half gone or very many. Takes 90 s.

const IDLE = 10_000
/** How many connections are opened at a time: more would overflow the accept queue of the kernel. */
const OPENING = 100
const PROBES = 100
const LIVE = 'GET /health/live HTTP/1.1\r\nHost: x\r\n'
const LOGIN = 'POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'

takesNoOptions(
  'usage: npm run bench:connections\n\nClients that are slow, silent, half gone or very many. Takes 90 seconds.',
)

const folder = makeRunFolder('connections')

const bench = { rounds: 1, seconds: 1, folder, cores: undefined }
const server = await startSignet(bench, await makeHome(bench))
try {
  await loginStorm(server)
  await manyIdle(server)
  await slowWriters(server)
  await slowReaders(server)
} finally {
  await server.child.stop()
}

/** Hashing uses every core, and must not delay other requests. */
async function loginStorm(server: Server): Promise<void> {
  const credentials = await register(server.origin)
  let storming = true
  let done = 0
  const clients = Array.from({ length: 50 }, async () => {
    while (storming) {
      await logIn(server.origin, credentials)
      done += 1
    }
  })
  const slowest = await p99(server)
  storming = false
  await Promise.all(clients)
  say('GET /health/live during 50 parallel logins, p99', `${slowest.toFixed(1)} ms (${done} logins)`)
}

async function manyIdle(server: Server): Promise<void> {
  const before = { memory: server.child.residentMemory(), p99: await p99(server) }
  const sockets: Socket[] = []
  while (sockets.length < IDLE) {
    const batch = Array.from({ length: OPENING }, () => dial(server, `${LIVE}\r\n`))
    await Promise.all(batch.map((socket) => once(socket, 'data')))
    sockets.push(...batch)
  }
  const grown = server.child.residentMemory() - before.memory
  const open = sockets.filter(({ destroyed }) => !destroyed).length
  say(
    `${IDLE} idle connections, one request each`,
    `${open} open, ${grown.toFixed(0)} MB, ${((grown * 1000) / IDLE).toFixed(1)} KB each`,
  )
  say('GET /health/live meanwhile, p99', `${(await p99(server)).toFixed(1)} ms (${before.p99.toFixed(1)} before)`)
  say('POST /v1/login meanwhile', `${await loginStatus(server)}`)
  await Promise.all(sockets.map((socket) => ended(socket)))
  say('left alone they are closed by the server', `${sockets.filter(({ destroyed }) => destroyed).length} of ${IDLE}`)
}

/** Clients that send requests and do not read: the responses must not pile up in the server's memory. */
async function slowReaders(server: Server): Promise<void> {
  const before = server.child.residentMemory()
  const sockets = Array.from({ length: 20 }, () => dial(server, ''))
  for (const socket of sockets) {
    socket.pause()
    for (let i = 0; i < 20; i += 1) socket.write('GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(100))
  }
  await sleep(3000)
  const grown = server.child.residentMemory() - before
  say(
    '20 clients ask for 2,000 answers at once and read none',
    `${grown.toFixed(0)} MB, health p99 ${(await p99(server)).toFixed(1)} ms`,
  )
  for (const socket of sockets) socket.destroy()
}

async function slowWriters(server: Server): Promise<void> {
  const clients: [name: string, text: string, trickle?: string][] = [
    ['says nothing at all', ''],
    ['half a request line', 'GET /hea'],
    ['headers, a byte at a time', `${LIVE}X: `, 'x'],
    ['a body, a byte at a time', `${LOGIN}Content-Length: 10000\r\n\r\n`, ' '],
    ['a body that never comes', `${LOGIN}Content-Length: 10000\r\n\r\n`],
    ['101 headers', `${LIVE}${'x: y\r\n'.repeat(100)}\r\n`],
    ['17 KB of headers', `${LIVE}x: ${'y'.repeat(17_000)}\r\n\r\n`],
    ['a body of 17 KB', `${LOGIN}Content-Length: 17000\r\n\r\n`],
  ]
  await Promise.all(
    clients.map(async ([name, text, trickle]) => {
      const started = performance.now()
      const socket = dial(server, text)
      let answer = ''
      socket.on('data', (chunk) => {
        answer += chunk
      })
      const timer = trickle === undefined ? undefined : setInterval(() => socket.write(trickle), 500)
      // A refusal may leave the connection open for another request. It is idle then, and is closed as such later.
      await Promise.race([ended(socket), once(socket, 'data')])
      clearInterval(timer)
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      say(name, `${answer.slice(9, 12) || 'closed without a word'} after ${seconds} s`)
      socket.destroy()
    }),
  )
}

/** The work is the same whether the account exists or not. */
async function loginStatus({ origin }: Server): Promise<number> {
  const body = JSON.stringify({ email: 'nobody@example.com', password: 'a wrong password' })
  const headers = { 'content-type': 'application/json' }
  return (await fetch(`${origin}/v1/login`, { method: 'POST', headers, body })).status
}

function dial({ origin }: Server, text: string): Socket {
  const { port, hostname } = new URL(origin)
  const socket = connect(Number(port), hostname, () => text !== '' && socket.write(text))
  socket.on('error', () => undefined) // a reset is an end too
  return socket
}

function ended(socket: Socket): Promise<unknown> | undefined {
  return socket.destroyed ? undefined : new Promise((resolve) => socket.resume().once('close', resolve))
}

/** In milliseconds. */
async function p99({ origin }: Server): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < PROBES; i += 1) {
    const started = performance.now()
    await (await fetch(`${origin}/health/live`)).text()
    times.push(performance.now() - started)
  }
  return times.sort((a, b) => a - b)[Math.ceil(PROBES * 0.99) - 1] ?? 0
}

function say(what: string, result: string): void {
  console.log(`${what.padEnd(62)} ${result}`)
}
