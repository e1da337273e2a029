import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { accepted } from '../../../../test/support/attacks/accepted.ts'
import { type Attack, corpus } from '../../../../test/support/attacks/corpus.ts'
import { type Answer, faults } from '../../../../test/support/attacks/judge.ts'
import {
  hostileLines,
  identityHeaders,
  misplaced,
  notBearer,
  notOneToken,
  type PlainRequest,
  SCHEMES,
  twoAuthorizationLines,
} from '../../../../test/support/attacks/requests.ts'
import type { Mint } from '../../../../test/support/mint.ts'
import { rawRequest } from '../../../../test/support/raw-request.ts'
import type { RuntimeTrial } from './trial.ts'

/** The hostile tokens and requests of a run: the same for every runtime. */
export interface Table {
  readonly corpus: readonly Attack[]
  readonly good: readonly { readonly name: string; readonly token: string }[]
  /** An access token of a person. */
  readonly token: string
  /** Who was led astray by a header. */
  readonly canaryHits: readonly string[]
}

export async function makeTable(mint: Mint, token: string): Promise<Table> {
  const canaryHits: string[] = []
  const server = createServer((request, response) => {
    canaryHits.push(String(request.url))
    response.end('{"keys":[]}')
  })
  await once(server.listen(0, '127.0.0.1').unref(), 'listening')
  const canary = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  const attacks = corpus({ mint, canary }).flatMap(([, attacks]) => attacks)
  return { corpus: attacks, good: accepted(mint), token, canaryHits }
}

/** As many at once as make a body of some megabytes. */
const BATCH = 200

/**
 * Every token of the server's own table, as a text: no server or client stands before the guard then, so it also gets
 * what no header line can carry. Tokens that a line can carry come once more in a request of their own.
 */
export async function hostileTokens(trial: RuntimeTrial, table: Table): Promise<void> {
  for (let i = 0; i < table.corpus.length; i += BATCH) {
    const attacks = table.corpus.slice(i, i + BATCH)
    const answers = await batch(trial, attacks)
    attacks.forEach((attack, row) => void judge(trial, attack, answers[row]))
  }
  const answers = await batch(trial, table.good)
  table.good.forEach(({ name }, row) => {
    if (answers[row]?.statusCode !== 200) trial.faults.push(`refused: ${name}`)
  })
  const plain = table.corpus.filter(({ token }) => /^[\x21-\x7e]{1,7000}$/.test(token) && !token.includes(','))
  for (const attack of plain) judge(trial, attack, await ask(trial, attack.token))
  trial.counts.set('tokens', `${table.corpus.length} + ${plain.length}`)
  if (table.canaryHits.length > 0) trial.faults.push(`asked ${table.canaryHits} for keys`)
}

function judge(trial: RuntimeTrial, attack: Attack, answer: Answer | undefined): void {
  const found = answer === undefined ? ['no answer'] : faults(answer, attack, '')
  if (found.length > 0) trial.faults.push(`${attack.name}: ${found.join('; ')}`)
}

/** For one answer, and for those to a batch. */
const TIMEOUT_MS = 60_000

async function batch({ url }: RuntimeTrial, tokens: readonly { readonly token: string }[]): Promise<Answer[]> {
  const body = JSON.stringify(tokens.map(({ token }) => token))
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  try {
    const reply = await fetch(`${url}/tokens`, { method: 'POST', body, signal })
    const given = (await reply.json()) as { status: number; headers: Record<string, string>; body: string }[]
    return given.map(({ status, ...rest }) => ({ statusCode: status, ...rest }))
  } catch {
    return []
  }
}

async function ask({ url }: RuntimeTrial, token: string): Promise<Answer | undefined> {
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  try {
    const reply = await fetch(url, { headers: { authorization: `Bearer ${token}` }, signal })
    return { statusCode: reply.status, headers: Object.fromEntries(reply.headers), body: await reply.text() }
  } catch {
    return undefined
  }
}

/** Requests in which a good token stands where it does not belong, and header lines that no client sends. */
export async function hostileRequests(trial: RuntimeTrial, { token }: Table): Promise<void> {
  const elsewhere = [...misplaced(token, { get: '/', post: '/' }), ...identityHeaders('root').map(inHeaders)]
  for (const request of elsewhere) await expect(trial, request, 401, 'missing_token')
  for (const value of notBearer(token)) await expect(trial, inHeaders({ authorization: value }), 401, 'missing_token')
  for (const value of notOneToken(token)) await expectOneOf(trial, value)
  for (const scheme of SCHEMES) await expect(trial, inHeaders({ authorization: `${scheme} ${token}` }), 200)
  await expect(trial, inHeaders({ authorization: `  Bearer ${token}  ` }), 200)
  await twoLines(trial, token)
  for (const [lines, status] of hostileLines(token)) await hostileLine(trial, lines, status)
  await expect(trial, inHeaders({ authorization: `Bearer ${token}` }), 200)
}

const inHeaders = (headers: Record<string, string>): PlainRequest => ({ url: '/', headers })

async function send({ url }: RuntimeTrial, { method = 'GET', ...request }: PlainRequest): Promise<Answer> {
  const headers = Object.entries(request.headers ?? {}).map(([name, value]) => `${name}: ${value}`)
  return rawRequest(Number(new URL(url).port), [`${method} ${request.url} HTTP/1.1`, ...headers], request.payload)
}

async function expect(trial: RuntimeTrial, request: PlainRequest, status: number, code?: string): Promise<void> {
  const answer = await send(trial, request)
  const isRight = answer.statusCode === status && (code === undefined || answer.body.includes(`"code":"${code}"`))
  if (!isRight) trial.faults.push(`${shown(request)}: ${answer.statusCode} ${answer.body.slice(0, 120)}`)
}

/** A comma may be two lines that the runtime has joined: `invalid_request` is right for it too. */
async function expectOneOf(trial: RuntimeTrial, value: string): Promise<void> {
  const answer = await send(trial, inHeaders({ authorization: value }))
  const code = /"code":"(\w+)"/.exec(answer.body)?.[1] ?? ''
  const isRight = value.includes(',') ? ['invalid_token', 'invalid_request'].includes(code) : code === 'invalid_token'
  if (!isRight) trial.faults.push(`authorization: ${value.slice(0, 20)}…: ${answer.statusCode} ${code}`)
}

/** In the cell of a runtime that forgets an empty line: its guard sees one line, and nothing is wrong with that. */
export const EMPTY_LINE_UNSEEN = ' *'

/** Refused in any case. The cell has the statuses; that of Node is 400 `invalid_request`. */
async function twoLines(trial: RuntimeTrial, token: string): Promise<void> {
  const seen = new Set<string>()
  let unseen = ''
  for (const lines of twoAuthorizationLines(token)) {
    const answer = await rawRequest(Number(new URL(trial.url).port), ['GET / HTTP/1.1', ...lines])
    const code = /"code":"(\w+)"/.exec(answer.body)?.[1]
    const what = `${answer.statusCode} ${code}`
    if (answer.statusCode === 200 && lines.includes('Authorization:')) {
      unseen = EMPTY_LINE_UNSEEN
      continue
    }
    seen.add(String(answer.statusCode))
    if (!['400 invalid_request', '401 invalid_token', '401 missing_token'].includes(what))
      trial.faults.push(`two Authorization lines (${shown(lines)}): ${what}`)
  }
  trial.counts.set('two lines', [...seen].join(', ') + unseen)
}

/** A runtime's own server may refuse earlier, also by ending the connection. */
async function hostileLine(trial: RuntimeTrial, lines: readonly string[], status: number): Promise<void> {
  const answer = await rawRequest(Number(new URL(trial.url).port), ['GET / HTTP/1.1', ...lines])
  const isLenient = trial.runtime.lenient?.some((start) => lines[0]?.startsWith(start))
  const isRefused = answer.statusCode === 0 || (answer.statusCode >= 400 && answer.statusCode < 500)
  if (!isRefused && !isLenient) trial.faults.push(`${shown(lines)}: ${answer.statusCode} ${answer.body.slice(0, 120)}`)
  if (answer.statusCode !== status) trial.notes.push(`${shown(lines)}: ${answer.statusCode}, in Node ${status}`)
}

/** A request for people, without its token. */
function shown(what: unknown): string {
  return JSON.stringify(what)
    .replaceAll(/[\w-]{20,}\.[\w-]+\.[\w-]+/g, '<token>')
    .replaceAll(/A{50,}/g, (run) => `A × ${run.length}`)
    .slice(0, 120)
}
