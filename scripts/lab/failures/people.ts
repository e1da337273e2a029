import { OperatorError } from '../../../src/errors/app-error.ts'
import { PASSWORD } from '../../../test/support/settings.ts'

// The requests of clients, over HTTP.

export interface Tokens {
  readonly access: string
  readonly refresh: string
}

/** An answer, or none: the connection was refused or cut. */
export interface Answer {
  readonly status: number | undefined
  readonly body: Readonly<Record<string, unknown>>
  /** True when the answer has a Retry-After header in seconds. */
  readonly saysWhen: boolean
}

export async function ask(url: string, init: RequestInit = {}): Promise<Answer> {
  try {
    const reply = await fetch(url, init)
    const text = await reply.text()
    const saysWhen = /^\d+$/.test(reply.headers.get('retry-after') ?? '')
    return { status: reply.status, body: text.startsWith('{') ? JSON.parse(text) : {}, saysWhen }
  } catch {
    return { status: undefined, body: {}, saysWhen: false }
  }
}

export function post(url: string, body: object, access?: string): Promise<Answer> {
  const authorization: Record<string, string> = access === undefined ? {} : { authorization: `Bearer ${access}` }
  const headers = { 'content-type': 'application/json', ...authorization }
  return ask(url, { method: 'POST', headers, body: JSON.stringify(body) })
}

export const register = (origin: string, email: string) => post(`${origin}/v1/accounts`, { email, password: PASSWORD })
export const postLogin = (origin: string, email: string) => post(`${origin}/v1/login`, { email, password: PASSWORD })
export const postRefresh = (origin: string, { refresh }: Pick<Tokens, 'refresh'>) =>
  post(`${origin}/v1/refresh`, { refresh_token: refresh })
export const postLogout = (origin: string, { access }: Tokens) => post(`${origin}/v1/logout`, {}, access)
export const me = (origin: string, { access }: Pick<Tokens, 'access'>) =>
  ask(`${origin}/v1/me`, { headers: { authorization: `Bearer ${access}` } })

/** @returns undefined unless the answer holds a pair of tokens */
export function pairOf({ status, body }: Answer): Tokens | undefined {
  if (status !== 200) return undefined
  return { access: String(body.access_token), refresh: String(body.refresh_token) }
}

/** Registers an account and logs it in several times. */
export async function people(origin: string, email: string, sessions: number): Promise<Tokens[]> {
  const { status, body } = await register(origin, email)
  if (status !== 201) throw new OperatorError(`register: ${status} ${JSON.stringify(body)}`)
  const all: Tokens[] = []
  while (all.length < sessions) {
    const answer = await postLogin(origin, email)
    const pair = pairOf(answer)
    if (pair === undefined) throw new OperatorError(`login: ${answer.status} ${JSON.stringify(answer.body)}`)
    all.push(pair)
  }
  return all
}
