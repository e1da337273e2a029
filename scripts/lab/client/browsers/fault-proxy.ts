import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'

/** What happens on the way. `before` and `after`: the server has acted. `refused`: nobody listens. */
export type Way =
  | 'through'
  | 'lost before'
  | 'lost after'
  | 'cut'
  | 'truncated'
  | 'slow'
  | 'refused'
  | 'captive portal'
  | '429'
  | '500'
  | '502'
  | '503'

interface Answer {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: Buffer
}

/** The proxy stands before the server with the address that the browser knows, and does to answers what networks do. */
export class FaultProxy {
  way: Way = 'through'
  /** Port of the server on 127.0.0.1. */
  target = 0
  /** Refreshes that browsers asked for. */
  asked = 0
  /** The `jti` of each access token in an answer to one that went out as a whole. */
  arrived: string[] = []
  underWay = 0
  /** When each of them was asked for and arrived, for who has to find out why. */
  readonly log: string[] = []
  #held: (() => void)[] | undefined
  readonly #server = createServer((incoming, response) => void this.#serve(incoming, response))

  async listen(): Promise<string> {
    this.#server.keepAliveTimeout = 60_000
    this.#server.on('connection', (socket) => {
      if (this.way === 'refused') socket.destroy()
    })
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://localhost:${(this.#server.address() as { port: number }).port}`
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  /** Cuts the connections that are open, so that a fault meets all. */
  cutOff(): void {
    this.#server.closeAllConnections()
  }

  count(): void {
    this.asked = 0
    this.arrived = []
    this.log.length = 0
  }

  #note(what: string): void {
    this.log.push(`${Math.round(performance.now())} ${what}`)
  }

  /** Refreshes wait here, before the server, until `release`. */
  hold(): void {
    this.#held = []
  }

  get isHolding(): boolean {
    return (this.#held?.length ?? 0) > 0
  }

  release(): void {
    for (const go of this.#held?.splice(0) ?? []) go()
    this.#held = undefined
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const isRefresh = incoming.method === 'POST' && incoming.url === '/v1/refresh'
    response.on('error', () => undefined)
    if (isRefresh) {
      this.asked += 1
      this.underWay += 1
      this.#note('asked')
    }
    try {
      const body = await buffer(incoming)
      if (isRefresh && this.#held) await new Promise<void>((resolve) => this.#held?.push(resolve))
      const answer = await this.#answer(incoming, body)
      if (response.closed) return // the browser has given up: no event will come
      if (answer === undefined) return void response.destroy()
      if (answer === 'never') return await new Promise((resolve) => response.on('close', resolve))
      await this.#send(answer, response)
      if (!isRefresh || answer.status !== 200 || this.way !== 'through' || !response.writableFinished) return
      this.arrived.push(jtiOf(answer))
      this.#note('arrived')
    } catch {
      response.destroy() // the server is gone, or the browser
    } finally {
      if (isRefresh) this.underWay -= 1
    }
  }

  async #answer(incoming: IncomingMessage, body: Buffer): Promise<Answer | 'never' | undefined> {
    const { way } = this
    if (way === 'lost before' || way === 'refused') return undefined
    const origin = {
      'access-control-allow-origin': incoming.headers.origin,
      'access-control-allow-credentials': 'true',
    }
    const html = (status: number, more = {}) =>
      ({ status, headers: { 'content-type': 'text/html', ...more }, body: Buffer.from('<h1>Sorry</h1>') }) as Answer
    // A portal that lets scripts read its page is the worst case: then its 200 is seen.
    if (way === 'captive portal') return html(200, { ...origin, 'access-control-allow-headers': 'content-type' })
    if (way === '500' || way === '502') return html(Number(way), incoming.method === 'OPTIONS' ? {} : origin)
    const isOwn = way === '429' || way === '503' // as the server says it, after a preflight of its own
    if (isOwn && incoming.method !== 'OPTIONS') {
      const code = way === '429' ? 'too_many_requests' : 'overloaded'
      const headers = { ...origin, 'content-type': 'application/problem+json', 'retry-after': '5' }
      const exposed = { ...headers, 'access-control-expose-headers': 'retry-after' }
      return { status: Number(way), headers: exposed, body: Buffer.from(JSON.stringify({ code })) }
    }
    const answer = await this.#forward(incoming, body)
    if (way === 'slow') return 'never'
    return way === 'lost after' ? undefined : answer
  }

  #forward({ method, url, headers }: IncomingMessage, body: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        { host: '127.0.0.1', port: this.target, method, path: url, headers, agent: false },
        (reply) =>
          buffer(reply).then(
            (all) => resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: all }),
            reject,
          ),
      )
      outgoing.on('error', reject).end(body)
    })
  }

  async #send({ status, headers, body }: Answer, response: ServerResponse): Promise<void> {
    const { connection: _, 'transfer-encoding': __, ...kept } = headers
    const half = body.subarray(0, body.length >> 1)
    const sent = this.way === 'truncated' ? half : body
    const known = Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)) as object
    response.writeHead(status, { ...known, ...(status !== 204 && { 'content-length': sent.length }) })
    if (this.way === 'cut' && body.length > 0) {
      await new Promise<void>((resolve) => {
        response.on('close', resolve) // the browser may have gone meanwhile
        response.write(half, () => resolve())
      })
      response.destroy()
      return
    }
    await new Promise<void>((resolve) => {
      response.on('close', resolve)
      response.end(sent, () => resolve())
    })
  }
}

function jtiOf({ body }: Answer): string {
  const [, claims = ''] = JSON.parse(body.toString()).access_token.split('.')
  return JSON.parse(Buffer.from(claims, 'base64url').toString()).jti
}
