import type { App } from '../../src/http/app-type.ts'

/** The issuer as a verifier sees it, without sockets. A test can cut it off; it records every request. */
export interface Issuer {
  readonly fetch: typeof fetch
  /** Paths with their queries, in the order in which they were asked for. */
  readonly asked: string[]
  /** True: nobody answers. */
  down: boolean
}

/** @param serving the app that answers now: another one after a restart */
export function issuerOf(serving: () => App): Issuer {
  const issuer: Issuer = {
    asked: [],
    down: false,
    async fetch(input, init) {
      const { pathname, search } = new URL(String(input))
      issuer.asked.push(pathname + search)
      if (issuer.down) throw new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } })
      const headers = Object.fromEntries(new Headers(init?.headers))
      const reply = serving().inject({ url: pathname + search, headers })
      const aborted = new Promise<never>((_, reject) => {
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason))
      })
      const { statusCode, body, headers: answered } = await Promise.race([reply, aborted])
      return new Response(statusCode === 304 ? null : body, { status: statusCode, headers: answered as never })
    },
  }
  return issuer
}
