import { misplaced, notBearer, notOneToken, twoAuthorizationLines } from '../../../../test/support/attacks/requests.ts'
import type { Mint } from '../../../../test/support/mint.ts'
import { rawRequest } from '../../../../test/support/raw-request.ts'
import type { Received } from './backend.ts'
import { bearer, fault, type GatewayTrial, get, identityOf, type Outcome, readPath, send } from './gateway-trial.ts'

/** What the recipes ask for: a scope below /invoices/, a role below /admin/, nothing below /public/. */
export async function demands(trial: GatewayTrial, mint: Mint): Promise<void> {
  const column = 'demands'
  const rows: [path: string, claims: object, status: number, challenge?: string][] = [
    ['/invoices/1', { scope: 'a invoices:read' }, 200],
    ['/invoices', { scope: 'invoices:readers' }, 403, 'scope="invoices:read"'],
    ['/invoices/1', { roles: ['invoices:read'] }, 403, 'scope="invoices:read"'],
    ['/admin/x', { roles: ['support', 'admin'] }, 200],
    ['/admin/x', { roles: ['administrator'] }, 403, 'insufficient_scope'],
    ['/admin/x?role=', { scope: 'admin' }, 403, 'insufficient_scope'],
    ['/orders?role=nobody&scope=none&max_auth_age=0', {}, 200],
    ['/orders?a=b&a=c&%', {}, 200],
    ['/public/page', { scope: '' }, 200],
  ]
  for (const [path, claims, status, challenge] of rows) {
    const outcome = await get(trial, path, bearer(mint.token({ claims })))
    const said = outcome.headers['www-authenticate'] ?? ''
    const [received, ...more] = outcome.reached
    const isRight =
      outcome.statusCode === status &&
      (challenge === undefined || said.includes(challenge)) &&
      (status === 200 ? received?.url === path && more.length === 0 : received === undefined)
    if (!isRight) fault(trial, column, `${path} ${JSON.stringify(claims)}: ${outcome.statusCode} ${said}`)
  }
  await methods(trial, mint.token())
  for (const method of ['GET', 'POST', 'OPTIONS', 'PUT', 'TRACE', 'FOO'])
    for (const path of [
      '/',
      '/orders',
      '/invoices/1',
      '/admin/x',
      '/publicity',
      '/signet-gate',
      '/health/ready',
      '*',
    ]) {
      const outcome = await send(trial, [`${method} ${path} HTTP/1.1`])
      if (outcome.reached.length > 0 || (outcome.statusCode >= 200 && outcome.statusCode < 300 && path !== '*'))
        fault(trial, column, `${method} ${path} without a token: ${outcome.statusCode}`)
    }
  if (!trial.cells.has(column)) trial.cells.set(column, 'yes')
}

/** The body is for the service, and not for the gate. */
async function methods(trial: GatewayTrial, token: string): Promise<void> {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    const body = `${method} /admin/x HTTP/1.1\r\n\r\n`.repeat(20)
    const { statusCode, reached } = await send(trial, [`${method} /orders HTTP/1.1`, bearer(token)], body)
    const [received] = reached
    if (statusCode !== 200 || received?.method !== method || received.body !== body)
      fault(trial, 'demands', `${method} with a body: ${statusCode} ${received?.body.length}`)
  }
}

/** Spellings of paths: whatever a service reads in what it gets, the gate was asked for that. */
export async function spelledPaths(trial: GatewayTrial, mint: Mint): Promise<void> {
  const column = 'spelled paths'
  const ups = ['..', '%2e%2e', '.%2e', '..%2f', '%2e%2e%2f', '..;', '..%5c', '..\\', '%252e%252e', '..%00', '.', '']
  const paths = [
    ...ups.flatMap((up) => [`/public/${up}/admin/x`, `/public/${up}admin/x`, `/${up}/admin/x`, `/x/${up}/admin/x`]),
    ...[
      '//admin/x',
      '/%61dmin/x',
      '/admin%2fx',
      '/ADMIN/x',
      '/admin',
      '/Admin',
      '/admin;/x',
      '/admin//x',
      '/./admin/x',
      '\\admin\\x',
    ],
    ...['/public/../orders', '/public%2f../orders', '/PUBLIC/x', '/public', '/public/x%2f..%2f..%2fadmin%2fx'],
    ...[
      'http://localhost/admin/x',
      'http://127.0.0.1:4180/health/live',
      '/public/#/../../admin/x',
      '/public/?/../admin',
    ],
  ]
  const own = bearer(mint.token({ claims: { roles: ['user'] } }))
  for (const path of paths)
    for (const lines of [[], [own]]) {
      const outcome = await get(trial, path, ...lines)
      for (const received of outcome.reached) {
        const read = readPath(received)
        const isOpen = /^\/public(\/|$)/.test(read)
        if (/^\/admin(\/|$)/.test(read)) fault(trial, column, `${path} reaches the service as ${received.url}`)
        if (lines.length === 0 && !isOpen) fault(trial, column, `${path} without a token: as ${received.url}`)
      }
      if (outcome.body.includes('"status":"ok"')) fault(trial, column, `${path} reaches the health of the gate`)
    }
  if (!trial.cells.has(column)) trial.cells.set(column, 'asked for')
}

/** A token that stands where it does not belong, and lines that are not one token. */
export async function notATokenOfTheHeader(trial: GatewayTrial, token: string): Promise<void> {
  const column = 'elsewhere'
  const refused = (outcome: Outcome, what: string, statuses: readonly number[]) => {
    const shown = what.replaceAll(token, '<token>').slice(0, 120)
    const challenges = (outcome.headers['www-authenticate'] ?? '').match(/Bearer/g)?.length
    if (outcome.reached.length > 0 || !statuses.includes(outcome.statusCode))
      fault(trial, column, `${shown}: ${outcome.statusCode}, reached the service ${outcome.reached.length} times`)
    else if (outcome.statusCode === 401 && challenges !== 1) fault(trial, column, `${shown}: ${challenges} challenges`)
  }
  for (const { method = 'GET', url, headers = {}, payload } of misplaced(token, { get: '/orders', post: '/orders' })) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
    refused(await send(trial, [`${method} ${url} HTTP/1.1`, ...lines], payload), `${url} ${lines}`, [401])
  }
  for (const value of [...notBearer(token), ...notOneToken(token)])
    refused(await get(trial, '/orders', `Authorization: ${value}`), value, [400, 401])
  for (const lines of twoAuthorizationLines(token)) {
    const outcome = await get(trial, '/orders', ...lines)
    const isOne = lines.includes('Authorization:') // a gateway may take an empty line for none
    if (!(isOne && outcome.statusCode === 200 && outcome.reached.length === 1))
      refused(outcome, JSON.stringify(lines), [400, 401])
  }
  if (!trial.cells.has(column)) trial.cells.set(column, 'refused')
}

/** Two lengths, and a request within a request (RFC 9112 section 6.1): nothing reaches the service unasked. */
export async function smuggled(trial: GatewayTrial, token: string): Promise<void> {
  const column = 'smuggled'
  const inner = 'GET /admin/x HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const chunks = `0\r\n\r\n${inner}`
  const length = `Content-Length: ${chunks.length}`
  const framings = [
    [length, 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Content-Length: 5'],
    ['Content-Length: 5', length],
    [length, 'Transfer-Encoding: xchunked'],
    [length, 'Transfer-Encoding : chunked'],
    [length, 'Transfer-Encoding: \tchunked'],
    [length, 'Transfer-Encoding: chunked, identity'],
    [length, 'X: y\nTransfer-Encoding: chunked'],
    [length, 'Transfer-Encoding:\r\n chunked'],
    ['Content-Length: +5'],
    ['Content-Length: 5, 5'],
    ['Content-Length: 0x5'],
  ]
  for (const path of ['/public/page', '/orders'])
    for (const framing of framings) {
      const lines = [`POST ${path} HTTP/1.1`, bearer(token), ...framing, 'Host: localhost', '', chunks]
      // What a connection to the service still holds comes with the request after it.
      const reached = [...(await send(trial, lines)).reached, ...(await next(trial))]
      if (reached.some((received) => readPath(received).startsWith('/admin')))
        fault(trial, column, `${path} with ${JSON.stringify(framing)}`)
      if (reached.some((received) => received.url === '/orders' && identityOf(received).length === 0))
        fault(trial, column, `${path} with ${JSON.stringify(framing)}: without identity`)
    }
  if (!trial.cells.has(column)) trial.cells.set(column, 'nothing')
}

async function next({ port, backend }: GatewayTrial): Promise<Received[]> {
  await rawRequest(port, ['GET /public/next HTTP/1.1'])
  return backend.take()
}
