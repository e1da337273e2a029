import type { Clock } from '../../../../src/client/index.ts'
import type { Reply, Service } from './service.ts'
import type { SimulatedTime } from './time.ts'

/** What the network does to every request of a device. `before` and `after`: the server has acted. */
export const NETWORK_FAULTS = [
  'lost before',
  'lost after',
  'server dies before',
  'server dies after',
  '429',
  '500',
  '502',
  '503',
  'cut in the body',
  'slow before',
  'slow after',
  'truncated JSON',
  'offline',
  'no DNS',
  'captive portal',
] as const
export type NetworkFault = 'none' | (typeof NETWORK_FAULTS)[number]

export const USER_AGENT = 'Device/1'
/** A connection without an answer is given up after this time; the client gives up before. */
const LONGEST_ANSWER_MS = 20_000
const UNREACHED: readonly NetworkFault[] = ['lost before', 'server dies before', 'offline', 'no DNS']

interface Outgoing {
  readonly method: string
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string | undefined
}

/** The way of one device to the service, with its cookie. */
export class Network {
  fault: NetworkFault = 'none'
  cookie: string | undefined
  /** Refreshes that the server did. */
  acted = 0
  /**
   * Renewals that arrived. With the cookie one for each answer. With `body` one for each new refresh token: sessions of
   * a process that share a storage have no lock, and those that ask at once are given the same one.
   */
  readonly arrived = new Set<string>()
  /** True once the server has ended the session because this device asked. */
  hasLoggedOut = false
  /** Every refresh token and the last access token that the server has sent here, whether or not they arrived. */
  readonly refreshTokens: string[] = []
  accessToken: string | undefined
  readonly #service: Service
  readonly #time: SimulatedTime
  readonly #clock: Clock

  constructor(service: Service, time: SimulatedTime, clock: Clock) {
    this.#service = service
    this.#time = time
    this.#clock = clock
  }

  /** A `fetch` for one page. @param isGone whether the page was closed or loaded again */
  fetchOf(isGone: () => boolean): typeof globalThis.fetch {
    return async (input, init = {}) => {
      const request = input instanceof Request ? input : new Request(input, init)
      const { pathname } = new URL(request.url)
      const headers = Object.fromEntries(request.headers)
      const body = typeof init.body === 'string' ? init.body : undefined
      const outgoing = { method: request.method, path: pathname, headers, body }
      return this.#send(outgoing, init.credentials === 'include', init.signal ?? undefined, isGone)
    }
  }

  async #send(outgoing: Outgoing, withCookie: boolean, signal: AbortSignal | undefined, isGone: () => boolean) {
    const { fault } = this
    if (UNREACHED.includes(fault)) throw new TypeError('fetch failed')
    const made = madeUp(fault)
    if (made) return made
    if (fault === 'slow before') return never(signal, this.#clock)
    const cookie = withCookie && this.cookie ? { cookie: `signet_refresh=${this.cookie}` } : {}
    const headers = { ...outgoing.headers, ...cookie, 'sec-fetch-site': 'same-site', 'user-agent': USER_AGENT }
    const reply = await this.#time.outside(this.#service.ask({ ...outgoing, headers }))
    this.#note(outgoing.path, reply)
    if (fault === 'lost after' || fault === 'server dies after') throw new TypeError('fetch failed')
    if (fault === 'slow after') return never(signal, this.#clock)
    if (withCookie) this.#keepCookie(reply)
    if (fault === 'cut in the body') return response(reply, cutOff(reply.body))
    if (fault === 'truncated JSON') return response(reply, reply.body.slice(0, reply.body.length >> 1))
    if (outgoing.path === '/v1/refresh' && reply.status === 200 && !isGone()) {
      const { access_token, refresh_token } = JSON.parse(reply.body)
      this.arrived.add(withCookie ? access_token : refresh_token)
    }
    return response(reply, reply.status === 204 ? null : reply.body)
  }

  #note(path: string, { status, body, setCookie }: Reply): void {
    if (path === '/v1/logout' && status === 204) this.hasLoggedOut = true
    if (status !== 200) return
    if (path === '/v1/refresh') this.acted += 1
    const { access_token, refresh_token } = JSON.parse(body)
    const inCookie = /^signet_refresh=(srt_[^;]+)/.exec(setCookie ?? '')?.[1]
    if (access_token) this.accessToken = access_token
    if (refresh_token ?? inCookie) this.refreshTokens.push(refresh_token ?? inCookie)
  }

  #keepCookie({ setCookie }: Reply): void {
    const value = /^signet_refresh=([^;]*)/.exec(setCookie ?? '')?.[1]
    if (value !== undefined) this.cookie = /Max-Age=0/.test(setCookie ?? '') ? undefined : value
  }
}

const response = ({ status, headers }: Reply, body: string | null | ReadableStream) =>
  new Response(body, { status, headers })

function madeUp(fault: NetworkFault): Response | undefined {
  const html = { 'content-type': 'text/html' }
  if (fault === 'captive portal') return new Response('<h1>Welcome to the hotel</h1>', { headers: html })
  if (!/^\d+$/.test(fault)) return undefined
  const headers: Record<string, string> = fault === '429' || fault === '503' ? { ...html, 'retry-after': '20' } : html
  return new Response(`<h1>${fault}</h1>`, { status: Number(fault), headers })
}

/** No answer, until the caller gives up, or the connection. */
const never = (signal: AbortSignal | undefined, clock: Clock) =>
  new Promise<Response>((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')))
    clock.setTimeout(() => reject(new TypeError('fetch failed')), LONGEST_ANSWER_MS)
  })

function cutOff(text: string): ReadableStream {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text.slice(0, text.length >> 1)))
      controller.error(new TypeError('terminated'))
    },
  })
}
