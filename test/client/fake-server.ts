export const ISSUER = 'https://auth.example.com'

export interface Seen {
  readonly url: string
  readonly method: string
  readonly headers: Headers
  readonly body: unknown
  readonly init: RequestInit
}
export type Reply = Response | Error | Promise<Response>

/** A token with claims, as far as the client reads them. The signature is not one. */
export const token = (claims: object) => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`

export const json = (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } })
export const problem = (code: string, status: number, headers: Record<string, string> = {}) =>
  json({ code, title: `title of ${code}` }, status, { 'content-type': 'application/problem+json', ...headers })

let made = 0
/** A token response whose access token differs from all before it. */
export const pair = (claims: object = {}, more: object = {}) => {
  made += 1
  const access_token = token({ sub: 'acc_1', sid: 'ses_1', iat: made, ...claims })
  return json({ access_token, token_type: 'Bearer', expires_in: 600, refresh_token: `srt_${made}`, scope: '', ...more })
}

/** A `fetch` that answers by a table of paths, and remembers what it was asked. */
export function fakeServer(routes: Record<string, (seen: Seen) => Reply>) {
  const seen: Seen[] = []
  const fetch = async (input: string | URL | Request, init: RequestInit = {}) => {
    const request = new Request(input, init)
    const text = init.body instanceof ReadableStream ? '' : await request.clone().text()
    const { url, method, headers } = request
    const one = { url, method, headers, body: text.startsWith('{') ? JSON.parse(text) : text, init }
    seen.push(one)
    const { pathname } = new URL(url)
    const reply = await routes[pathname]?.(one)
    if (reply instanceof Error) throw reply
    return reply ?? json({ path: pathname })
  }
  return {
    fetch: fetch as typeof globalThis.fetch,
    routes,
    seen,
    /** How often a path was asked for. */
    count: (path: string) => seen.filter(({ url }) => new URL(url).pathname === path).length,
    bearers: () => seen.map(({ headers }) => headers.get('authorization')),
  }
}
