import { IDENTITY_HEADERS } from '../../../../src/verifier/gate/identity.ts'
import { bearer, fault, type GatewayTrial, get, identityOf, type Outcome, send } from './gateway-trial.ts'

const COLUMN = 'forged identity'
const EVIL = 'acc_mallory'

/** A gateway may refuse the request, or pass it on without what the client has forged. */
export async function forgedIdentity(trial: GatewayTrial, token: string, subject: string): Promise<void> {
  let count = 0
  for (const lines of forgeries()) {
    for (const [path, own] of [
      ['/public/page', []],
      ['/public/page', [bearer(token)]],
      ['/orders', [bearer(token)]],
      ['/orders', []],
    ] as const) {
      for (const all of [
        [...lines, ...own],
        [...own, ...lines],
      ]) {
        count += 1
        judge(trial, path, subject, await get(trial, path, ...all), all)
      }
    }
  }
  await inTrailers(trial, token, subject)
  if (!trial.cells.has(COLUMN)) trial.cells.set(COLUMN, `none of ${count}`)
}

function forgeries(): string[][] {
  const spellings = IDENTITY_HEADERS.flatMap((name) => [
    name,
    name.toUpperCase(),
    name.replaceAll('-', '_'),
    name.toUpperCase().replaceAll('-', '_'),
    name.replace('-', '_'),
    name.replace(/-(?=[^-]*$)/, '_'),
    name.replaceAll('-', '.'),
    name.replaceAll('-', '~'),
  ])
  const one = spellings.map((name) => [`${name}: ${EVIL}`])
  const twice = IDENTITY_HEADERS.map((name) => [`${name}: ${EVIL}`, `${name.toUpperCase()}: ${EVIL}`])
  const all = IDENTITY_HEADERS.map((name) => `${name}: ${EVIL}`)
  const framed = [
    `X-Signet-Subject : ${EVIL}`,
    ` X-Signet-Subject: ${EVIL}`,
    `X-Signet-Subject\t: ${EVIL}`,
    `X-Signet-Subject\0: ${EVIL}`,
    `X-Other: y\nX-Signet-Subject: ${EVIL}`,
    `X-Other: y\rX-Signet-Subject: ${EVIL}`,
    `X-Other: y\r\n X-Signet-Subject: ${EVIL}`,
    `X-Signet-Subject:\r\n ${EVIL}`,
    `X-Signet-Subject;x: ${EVIL}`,
  ].map((line) => [line])
  // What Connection names is for the next hop only: it could remove what the gate said.
  const hop = ['X-Signet-Subject', 'x-signet-roles, close', 'Authorization'].map((names) => [
    `Connection: ${names}`,
    `X-Signet-Subject: ${EVIL}`,
  ])
  return [...one, ...twice, all, [...all, ...all], ...framed, ...hop]
}

function judge(trial: GatewayTrial, path: string, subject: string, outcome: Outcome, lines: readonly string[]): void {
  for (const received of outcome.reached) {
    const identity = identityOf(received)
    const shown = JSON.stringify(lines.filter((line) => !line.startsWith('Authorization'))).slice(0, 200)
    if (identity.some(([, value]) => value.includes(EVIL))) fault(trial, COLUMN, `${path}: ${shown}`)
    const names = new Set(identity.map(([name]) => name.toLowerCase()))
    if (names.size < identity.length) fault(trial, COLUMN, `${path}: twice after ${shown}`)
    const found = identity.find(([name]) => name.toLowerCase() === 'x-signet-subject')?.[1]
    if (path.startsWith('/public') ? (found ?? '') !== '' : found !== subject)
      fault(trial, COLUMN, `${path}: the subject is ${found} after ${shown}`)
  }
}

/** Fields after a body in chunks (RFC 9112 section 7.1.2). */
async function inTrailers(trial: GatewayTrial, token: string, subject: string): Promise<void> {
  for (const path of ['/public/page', '/orders']) {
    const head = [`POST ${path} HTTP/1.1`, bearer(token), 'Transfer-Encoding: chunked', 'Trailer: X-Signet-Subject']
    const body = `2\r\nhi\r\n0\r\nX-Signet-Subject: ${EVIL}\r\nX-Signet-Roles: admin\r\n\r\n`
    // The lines that rawRequest adds come first this way: a length beside chunks would be refused.
    const outcome = await send(trial, [...head, 'Host: localhost', 'Connection: close', '', body])
    judge(trial, path, subject, outcome, ['trailers'])
    const passed = outcome.reached.some(({ trailers }) => trailers.length > 0)
    if (passed && trial.program.unchecked !== 'trailers') fault(trial, COLUMN, `${path}: a trailer`)
    if (passed) trial.reasons.push(`${trial.program.name}: trailers are passed on`)
  }
}
