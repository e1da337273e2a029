import { connect, type Socket } from 'node:net'
import type { FeedOrder, FeedRound } from './feed-load.ts'

// Started by feed-load.ts: light followers of the change stream. They read the bytes and the cursor in them, and verify
// nothing: what one costs here would be taken from the server on the same machine.

/** Between two requests of a follower, as the page of the feed asks for. */
const PAUSE_MS = 250
/** How many connections are opened at a time: more would overflow the accept queue of the kernel. */
const OPENING = 100

interface State {
  readonly url: URL
  cursor: string
  socket: Socket
  received: Buffer
}

const followers: State[] = []
let round: { bytes: number; answers: number; delays: Map<number, number[]> } = newRound()
/** What the newest documents say, by their text: followers get equal ones. */
const known = new Map<string, { cursor: string; seq: number }>()

process.on('message', async (order: FeedOrder) => {
  if ('open' in order) {
    await open(order)
    process.send?.({})
    return
  }
  const { bytes, answers, delays } = round
  round = newRound()
  const result: FeedRound = { bytes, answers, seen: [...delays].map(([seq, at]) => ({ seq, at })) }
  process.send?.(result)
})

function newRound() {
  return { bytes: 0, answers: 0, delays: new Map<number, number[]>() }
}

async function open({ origin, open: count, addresses }: Extract<FeedOrder, { open: number }>): Promise<void> {
  const url = new URL(origin)
  for (let i = 0; i < count; i += OPENING) {
    const batch = Array.from({ length: Math.min(OPENING, count - i) }, (_, j) => start(url, (i + j) % addresses))
    await Promise.all(batch)
  }
}

/** @returns when it has its first answer */
function start(url: URL, address: number): Promise<void> {
  const localAddress = `127.0.${1 + Math.floor(address / 200)}.${1 + (address % 200)}`
  return new Promise((resolve, reject) => {
    const socket = connect({ port: Number(url.port), host: url.hostname, localAddress })
    const state: State = { url, cursor: '0', socket, received: Buffer.alloc(0) }
    followers.push(state)
    socket.once('connect', () => ask(state))
    socket.once('error', (error) => reject(error))
    socket.on('data', (chunk) => {
      round.bytes += chunk.length
      state.received = state.received.length === 0 ? chunk : Buffer.concat([state.received, chunk])
      const answer = takeAnswer(state)
      if (answer === undefined) return
      resolve()
      round.answers += 1
      apply(state, answer.body)
      setTimeout(() => ask(state), Math.max(PAUSE_MS, answer.retryAfter * 1000))
    })
  })
}

function ask({ socket, url, cursor }: State): void {
  socket.write(`GET /.well-known/revocations?after=${cursor}&wait=25 HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`)
}

function takeAnswer(state: State): { body: string; retryAfter: number } | undefined {
  const end = state.received.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = state.received.toString('latin1', 0, end)
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1])
  if (!head.startsWith('HTTP/1.1 200') || !Number.isInteger(length)) throw new Error(`a strange answer: ${head}`)
  if (state.received.length < end + 4 + length) return undefined
  const body = state.received.toString('latin1', end + 4, end + 4 + length)
  state.received = state.received.subarray(end + 4 + length)
  return { body, retryAfter: Number(/^retry-after: (\d+)/im.exec(head)?.[1] ?? 0) }
}

function apply(state: State, body: string): void {
  const line = body.slice(body.lastIndexOf('\n', body.length - 2) + 1)
  let news = known.get(line)
  if (news === undefined) {
    news = JSON.parse(Buffer.from(line.split('.')[1] ?? '', 'base64url').toString()) as { cursor: string; seq: number }
    if (known.size > 1000) known.clear()
    known.set(line, { cursor: news.cursor, seq: news.seq })
  }
  state.cursor = news.cursor
  const at = round.delays.get(news.seq)
  const now = performance.timeOrigin + performance.now()
  if (at === undefined) round.delays.set(news.seq, [now])
  else at.push(now)
}
