import { readFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { Connection } from './connection.ts'
import type { LightOrder, LightResult, Request, Source } from './light-load.ts'

// Started by light-load.ts: takes orders over the IPC channel.

/** How often a paced load checks which requests are due. */
const TICK_MS = 1

if (process.argv.includes('urgent')) {
  try {
    setPriority(constants.priority.PRIORITY_HIGHEST) // in production the client is on another machine
  } catch {} // only root may
}

const hasOwnCore = process.argv.includes('awake')

process.on('message', async (order: LightOrder) => {
  process.send?.(await fire(order))
})

interface Script {
  /** The next request of a connection. */
  next(connection: number): string
  answered?(connection: number, body: string): void
  /** The source for the next round. */
  source(): Source
}

/** One exchange on a connection: sends its next request, and resolves at the end of the response, whatever it is. */
type Lane = () => Promise<void>

async function fire(order: LightOrder): Promise<LightResult> {
  const { origin, connections, pace } = order
  const script = scriptOf(order.source, new URL(origin).host)
  const lines = await Promise.all(Array.from({ length: connections }, () => Connection.open(origin)))
  const bad: Record<string, number> = {}
  let good = 0
  const lanes = lines.map(
    (line, index): Lane =>
      async () => {
        const { status, body } = await line.exchange(script.next(index)).catch(lost)
        if (status >= 200 && status < 300) {
          good += 1
          script.answered?.(index, body)
        } else {
          const kind = status === 0 ? body : String(status)
          bad[kind] = (bad[kind] ?? 0) + 1
        }
      },
  )
  // A round with a bad reply is ended early: it will be thrown away.
  const goesOn = () => Object.keys(bad).length === 0
  const endSpinning = hasOwnCore ? stayAwake() : () => undefined
  const started = performance.now()
  const latencies = await (pace === undefined ? flood(order, lanes, goesOn) : paced(order, pace, lanes, goesOn))
  const seconds = (performance.now() - started) / 1000
  endSpinning()
  for (const line of lines) line.close()
  return { good, bad, seconds, source: script.source(), latencies }
}

/**
 * Keeps the event loop spinning. If the load slept on its own core while it waits, the server would have to wake it,
 * and that time (some 10 us in a virtual machine) would be counted as the server's.
 *
 * @returns a function that stops it
 */
function stayAwake(): () => void {
  let awake = true
  const turn = () => void (awake && setImmediate(turn))
  turn()
  return () => {
    awake = false
  }
}

const lost = ({ message }: Error) => ({ status: 0, body: message })

/** Every connection sends its next request as soon as it is answered. */
async function flood({ seconds }: LightOrder, lanes: readonly Lane[], goesOn: () => boolean): Promise<number[]> {
  const deadline = performance.now() + seconds * 1000
  const walk = async (lane: Lane) => {
    while (performance.now() < deadline && goesOn()) await lane()
  }
  await Promise.all(lanes.map(walk))
  return []
}

/**
 * The latency of a request counts from the moment when it is due, including the wait for a free connection: a slow
 * answer must not hide the requests that wait behind it.
 */
async function paced({ seconds }: LightOrder, pace: number, lanes: readonly Lane[], goesOn: () => boolean) {
  const latencies: number[] = []
  const wanted: number[] = []
  const idle = [...lanes]
  const underWay = new Set<Promise<void>>()
  const dispatch = () => {
    while (wanted.length > 0 && idle.length > 0) {
      const since = wanted.shift() ?? 0
      const lane = idle.shift() as Lane
      const work: Promise<void> = lane().then(() => {
        latencies.push(performance.now() - since)
        idle.push(lane)
        underWay.delete(work)
        dispatch()
      })
      underWay.add(work)
    }
  }
  const started = performance.now()
  for (let sent = 0; sent < pace * seconds && goesOn(); ) {
    const due = Math.min(pace * seconds, Math.floor(((performance.now() - started) / 1000) * pace))
    for (; sent < due; sent += 1) wanted.push(performance.now())
    dispatch()
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
  }
  while (underWay.size > 0) await Promise.race(underWay)
  return latencies
}

function scriptOf(source: Source, host: string): Script {
  if (source.kind === 'same') {
    const text = written(source.request, host)
    return { next: () => text, source: () => source }
  }
  if (source.kind === 'ring') return ring(source, host)
  const tokens = [...source.tokens]
  const headers = { 'content-type': 'application/json' }
  return {
    next: (connection) => {
      const body = `{"refresh_token":"${tokens[connection]}"}`
      return written({ method: 'POST', path: '/v1/refresh', headers, body }, host)
    },
    answered(connection, body) {
      const [, token] = /"refresh_token":"([^"]+)"/.exec(body) ?? []
      if (token !== undefined) tokens[connection] = token
    },
    source: () => ({ ...source, tokens }),
  }
}

const rings = new Map<string, readonly string[]>()

/** All connections share one position, so that no token is used again before every other one. */
function ring(source: Source & { kind: 'ring' }, host: string): Script {
  const { file, path } = source
  const tokens = rings.get(file) ?? readFileSync(file, 'utf8').split('\n')
  rings.set(file, tokens)
  const before = `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer `
  let { position } = source
  return {
    next() {
      position = (position + 1) % tokens.length
      return `${before}${tokens[position]}\r\n\r\n`
    },
    source: () => ({ ...source, position }),
  }
}

function written({ method, path, headers, body = '' }: Request, host: string): string {
  const length = body === '' ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const lines = Object.entries({ host, ...headers, ...length }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`
}
