// Hostile requests: where tokens do not belong, and header lines that no client sends. What they are sent to is the
// guard of the server, or the package in any runtime.

/** Values of the Authorization header that bring no Bearer credential: `missing_token`. */
export function notBearer(token: string): string[] {
  const others = ['', ' ', 'Basic dXNlcjpwYXNz', `Basic ${token}`, `DPoP ${token}`, `JWT ${token}`, token]
  const almost = ['Token T', 'BearerT', 'Bearers T', 'xBearer T', 'Bearer:T', '"Bearer" T']
  return [...others, ...almost.map((frame) => frame.replace(/T$/, token))]
}

/** Values of the Authorization header with the scheme Bearer and anything but one token: `invalid_token`. */
export function notOneToken(token: string): string[] {
  const rests = ['', ' ', '  ', ` ${token} ${token}`, ` ${token},`, ` "${token}"`, ` ${token} x`, ' x', ' .', ' ..']
  return rests.map((rest) => `Bearer${rest}`)
}

/** Spellings of the scheme that are all good (RFC 9110 section 11.1). */
export const SCHEMES = ['Bearer', 'bearer', 'BEARER', 'bEARER', 'BeArEr']

export interface PlainRequest {
  readonly method?: 'GET' | 'POST'
  /** Path and query. */
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly payload?: string
}

const HEADER_NAMES = [
  'x-access-token|x-authorization|x-auth-token|access-token|token|jwt|id-token|x-id-token|authentication',
  'authorization2|proxy-authorization|x-forwarded-authorization|x-original-authorization',
].flatMap((row) => row.split('|'))
const COOKIES = ['access_token', 'token', 'jwt', 'session', '__Host-token', 'authorization']
const QUERY = ['access_token', 'token', 'jwt', 'authorization', 'bearer']

/** Requests that carry a token in every place where some server or other looks for one: `missing_token`. */
export function misplaced(token: string, paths: { readonly get: string; readonly post: string }): PlainRequest[] {
  const get = (headers: Record<string, string>) => ({ url: paths.get, headers })
  const post = (type: string, payload: string) => ({
    method: 'POST' as const,
    url: paths.post,
    headers: { 'content-type': type },
    payload,
  })
  return [
    ...QUERY.map((name) => ({ url: `${paths.get}?${name}=${token}` })),
    { url: `${paths.get}?authorization=Bearer%20${token}` },
    ...COOKIES.map((name) => get({ cookie: `${name}=${token}` })),
    get({ cookie: `authorization=Bearer ${token}` }),
    ...HEADER_NAMES.flatMap((name) => [get({ [name]: token }), get({ [name]: `Bearer ${token}` })]),
    get({ 'sec-websocket-protocol': `bearer, ${token}` }),
    post('application/json', JSON.stringify({ access_token: token })),
    post('text/plain', token),
    post('application/x-www-form-urlencoded', `access_token=${token}`),
  ]
}

const IDENTITY_HEADERS = [
  'x-forwarded-user|x-remote-user|remote-user|x-user|x-user-id|x-authenticated-user|x-client-cert|x-forwarded-email',
  'x-auth-request-user|x-ms-client-principal-id|x-amzn-oidc-identity|x-forwarded-client-cert',
].flatMap((row) => row.split('|'))

/** Headers in which proxies name a user. A guard must ignore them. */
export function identityHeaders(user: string): Record<string, string>[] {
  return IDENTITY_HEADERS.map((name) => ({ [name]: user }))
}

/** Header lines of requests with two Authorization headers or more. */
export function twoAuthorizationLines(token: string): string[][] {
  const good = `Authorization: Bearer ${token}`
  return [
    [good, good],
    [good, good.replace('Authorization', 'authorization')],
    [good.replace('Authorization', 'AUTHORIZATION'), good],
    [good, 'Authorization: Basic dXNlcjpwYXNz'],
    ['Authorization: Basic dXNlcjpwYXNz', good],
    [good, 'Authorization: Bearer x.y.z'],
    ['Authorization: Bearer x.y.z', good],
    [good, 'Authorization:'],
    ['Authorization:', good],
    [good, 'X-Between: yes', good],
    [good, good, good],
  ]
}

/** Header lines with the status that Node and the guard behind it give them; other servers may refuse them earlier. */
export function hostileLines(token: string): [lines: string[], status: number][] {
  const many = Array.from({ length: 50 }, (_, i) => `X-${i}: Authorization: Bearer ${token.slice(0, 80)}`)
  return [
    [[`Authorization: Bearer ${token}, Bearer ${token}`], 401],
    [[`Authorization: Bearer ${token}\r\n ${token}`], 400],
    [[`Authorization: Bearer ${token}\0`], 400],
    [[`Authorization : Bearer ${token}`], 400],
    [[`Authorization: Bearer ${token}\xff`], 401],
    [['Authorization: Bearer \xe9\xfe.\xff.\x80'], 401],
    [[`Authorization: Bearer ${'A'.repeat(12_000)}`], 401],
    [[`Authorization: Bearer ${'A'.repeat(20_000)}`], 431],
    [many, 401],
    [['X: y\nAuthorization: Bearer x'], 400],
  ]
}
