import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { CookieJar } from 'tough-cookie'
import type { ReverseProxy } from './reverse-proxy.ts'

export interface Page {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Asked {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly json?: unknown
}

/** What a page of its own origin does, and what the browser keeps. */
export interface Browser {
  readonly jar: CookieJar
  open(url: string, asked?: Asked): Promise<Page>
  /** Follows redirects, as for an address that is typed. */
  follow(url: string): Promise<Page & { url: string }>
}

/**
 * A client that keeps cookies by the rules of RFC 6265bis, prefixes included, and reaches every host at one proxy.
 */
export function browserAt({ port, certificate }: ReverseProxy): Browser {
  const jar = new CookieJar(undefined, { prefixSecurity: 'strict' })
  const open = async (url: string, { method = 'GET', headers = {}, json }: Asked = {}): Promise<Page> => {
    const { host, hostname, origin, pathname, search } = new URL(url)
    const cookie = await jar.getCookieString(url, { sameSiteContext: 'strict' })
    const body = json === undefined ? undefined : JSON.stringify(json)
    const own = { host, origin, 'sec-fetch-site': 'same-origin', ...(cookie !== '' && { cookie }) }
    const type =
      body === undefined ? {} : { 'content-type': 'application/json', 'content-length': `${Buffer.byteLength(body)}` }
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port,
          servername: hostname,
          ca: certificate,
          method,
          path: `${pathname}${search}`,
          headers: { ...own, ...type, ...headers },
          agent: false,
        },
        async (reply) => {
          for (const line of reply.headers['set-cookie'] ?? [])
            await jar.setCookie(line, url, { sameSiteContext: 'strict' })
          resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: await text(reply) })
        },
      )
      sent.on('error', reject).end(body)
    })
  }
  const follow = async (url: string): Promise<Page & { url: string }> => {
    const page = await open(url)
    const { location } = page.headers
    return location === undefined ? { ...page, url } : follow(new URL(location, url).href)
  }
  return { jar, open, follow }
}
