import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { OperatorError } from '../../../src/errors/app-error.ts'
import type { Bench } from './figure.ts'
import { linkVerifier, npmInstall, writeRecipe } from './peers.ts'
import { logOut } from './revoking.ts'
import { type Server, startScript } from './server-process.ts'

const PAGE = 'sockets.md'
/** An end must have come by then. */
const TIMEOUT_MS = 10_000

interface Closed {
  readonly code: number
  readonly reason: string
  /** Milliseconds, as `performance.now()`. */
  readonly at: number
}

export interface LiveSocket {
  readonly closed: Promise<Closed>
}

/** The part of a `ws` client that is used here. */
interface WsClient extends NodeJS.EventEmitter {
  send(text: string): void
}
type WsClientClass = new (url: string, options: object) => WsClient

interface Services {
  readonly ws: Server
  readonly firstMessage: Server
  readonly events: Server
}

/** The recipes of the page about sockets as they are printed, each in a process of its own. */
export class Recipes {
  readonly #issuer: Server
  readonly #dir: string
  readonly #services: Services
  readonly #WebSocket: WsClientClass

  private constructor(issuer: Server, dir: string, services: Services) {
    this.#issuer = issuer
    this.#dir = dir
    this.#services = services
    this.#WebSocket = createRequire(join(dir, 'here.js'))('ws')
  }

  /** Installs `ws` from npm into the folder of this run, and starts the services. */
  static async install(bench: Bench, issuer: Server): Promise<Recipes> {
    const dir = join(bench.folder, 'sockets')
    await mkdir(dir)
    await writeFile(join(dir, 'package.json'), JSON.stringify({ type: 'module', dependencies: { ws: '^8.23.0' } }))
    await npmInstall(dir)
    await linkVerifier(dir)
    const env = { ISSUER: issuer.origin, AUDIENCE: issuer.origin }
    const start = async (name: string) => {
      const recipe = await writeRecipe({ dir }, name, PAGE)
      return startScript(bench, {}, (port) => ({ args: [recipe], env: { ...env, PORT: String(port) } }))
    }
    const [ws, firstMessage, events] = [await start('ws'), await start('ws-first-message'), await start('events')]
    for (const client of ['ws-browser', 'events-client']) await writeRecipe({ dir }, client, PAGE)
    return new Recipes(issuer, dir, { ws, firstMessage, events })
  }

  async end(): Promise<void> {
    for (const { child } of Object.values(this.#services)) await child.stop()
  }

  /** Opens a WebSocket with the token in its header, and waits until it works. */
  async open(token: string): Promise<LiveSocket> {
    const url = this.#services.ws.origin.replace('http', 'ws')
    const socket = new this.#WebSocket(url, { headers: { authorization: `Bearer ${token}` } })
    const closed = once(socket, 'close').then(([code, reason]) => ({
      code,
      reason: `${reason}`,
      at: performance.now(),
    }))
    await once(socket, 'open')
    socket.send('hello')
    const [answer] = await once(socket, 'message')
    expect('the echo of a WebSocket', `${answer}`.endsWith(' says hello'), answer)
    return { closed }
  }

  /** What the page promises of each recipe. */
  async work(tokens: string[]): Promise<void> {
    const next = () => tokens.pop() ?? ''
    await this.#refusesAtUpgrade()
    await this.#ignoresTheClose(next())
    await this.#firstMessage(next(), next())
    await this.#events(next())
    console.log('the recipes of sockets.md do what they promise')
  }

  async #refusesAtUpgrade(): Promise<void> {
    const { origin } = this.#services.ws
    for (const [token, expected] of [
      ['', 'missing_token'],
      ['Bearer a.b.c', 'invalid_token'],
    ] as const) {
      const socket = new this.#WebSocket(origin.replace('http', 'ws'), { headers: { authorization: token } })
      socket.on('error', () => undefined)
      const [, answer] = await once(socket, 'unexpected-response')
      let body = ''
      for await (const chunk of answer) body += chunk
      expect('a refused upgrade', answer.statusCode === 401 && JSON.parse(body).code === expected, body)
      expect('its challenge', answer.headers['www-authenticate']?.startsWith('Bearer '), answer.headers)
    }
  }

  /** A client that does not answer the close, and goes on sending. */
  async #ignoresTheClose(token: string): Promise<void> {
    const { port } = new URL(this.#services.ws.origin)
    const socket = connect(Number(port), '127.0.0.1')
    const key = Buffer.alloc(16).toString('base64')
    const version = `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}`
    const upgrade = `Upgrade: websocket\r\nConnection: Upgrade\r\n${version}`
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n${upgrade}\r\n\r\n`)
    let heard = ''
    socket.on('data', (data) => {
      heard += data
      socket.emit('heard')
    })
    const until = async (text: string) => {
      while (!heard.includes(text)) await once(socket, 'heard', { signal: AbortSignal.timeout(TIMEOUT_MS) })
    }
    // A text frame, masked with zeros (RFC 6455 section 5.2).
    const say = (text: string) =>
      socket.write(Buffer.concat([Buffer.of(0x81, 0x80 | text.length, 0, 0, 0, 0), Buffer.from(text)]))
    await until('101 Switching Protocols')
    say('before')
    await until('says before')
    await logOut(this.#issuer.origin, token)
    await until('invalid_token')
    say('after')
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect('a message after the close is not answered', !heard.includes('says after'), heard)
    socket.destroy()
  }

  async #firstMessage(stays: string, goes: string): Promise<void> {
    const { connect } = await import(pathToFileURL(join(this.#dir, 'recipe-ws-browser.js')).href)
    const url = this.#services.firstMessage.origin.replace('http', 'ws')
    const silent = closeOf(new WebSocket(url))
    const refused = await connect(url, 'a.b.c').catch((error: Error) => error)
    expect('a bad first message', refused.message === '4401 invalid_token', refused)
    const kept: WebSocket = await connect(url, stays)
    const ended: WebSocket = await connect(url, goes)
    const echo = once(kept, 'message')
    kept.send('hello')
    expect('the echo', String((await echo)[0].data).endsWith(' says hello'), 'none')
    const closed = closeOf(ended)
    await logOut(this.#issuer.origin, goes)
    expect('the end of a session', (await closed) === '4401 invalid_token', await closed)
    expect('no first message', (await silent) === '4401 missing_token', await silent)
    expect('the other session', kept.readyState === WebSocket.OPEN, kept.readyState)
    kept.close()
  }

  async #events(token: string): Promise<void> {
    const { events } = await import(pathToFileURL(join(this.#dir, 'recipe-events-client.js')).href)
    const { origin } = this.#services.events
    const refused = await events(origin, 'a.b.c')
      .next()
      .catch((error: Error) => error)
    expect('a stream with a bad token', refused.message === 'invalid_token', refused)
    const seen: string[] = []
    for await (const { event, data } of events(origin, token)) {
      seen.push(`${event} ${data}`)
      if (event === 'tick' && seen.length === 2) await logOut(this.#issuer.origin, token)
    }
    expect('a stream', seen[0] === 'ready ' && seen.at(-1) === 'over invalid_token', seen)
  }
}

async function closeOf(socket: WebSocket): Promise<string> {
  const [{ code, reason }] = (await once(socket, 'close', { signal: AbortSignal.timeout(TIMEOUT_MS) })) as [CloseEvent]
  return `${code} ${reason}`
}

function expect(what: string, holds: unknown, instead: unknown): void {
  if (holds !== true) throw new OperatorError(`${what}: not as the page says: ${JSON.stringify(instead)}`)
}
