import { randomUUID } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import type { App } from '../../src/http/app-type.ts'
import { bearer, PASSWORD, registered, startApp, type TestServer } from './app.ts'

// What a client can do with sessions, through the front door.

/** Where a request comes from. */
export interface Caller {
  readonly ip?: string
  readonly userAgent?: string
}

export interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
}

export interface User extends Tokens {
  readonly id: string
  readonly email: string
}

/** A server whose clock moves only when a test moves it. */
export async function serverAt(
  t: Test,
  start: number,
  env: Record<string, string> = {},
): Promise<TestServer & { now(): number; pass(seconds: number): void }> {
  let instant = start
  const now = () => instant
  const server = await startApp(t, { env, now })
  const pass = (seconds: number) => {
    instant += seconds
  }
  return { ...server, now, pass }
}

export function post(app: App, url: string, payload: object, caller: Caller & { token?: string } = {}) {
  const { ip = '127.0.0.1', userAgent = 'test', token } = caller
  const headers = { 'user-agent': userAgent, ...(token !== undefined && bearer(token)) }
  return app.inject({ method: 'POST', url, payload, remoteAddress: ip, headers })
}

export async function signUp(app: App, caller?: Caller): Promise<User> {
  const email = `${randomUUID()}@example.com`
  const id = await registered(app, email)
  return { id, email, ...(await logIn(app, email, caller)) }
}

export async function logIn(app: App, email: string, caller?: Caller): Promise<Tokens> {
  return good(await post(app, '/v1/login', { email, password: PASSWORD }, caller))
}

export const refresh = (app: App, { refresh_token }: Pick<Tokens, 'refresh_token'>, caller?: Caller) =>
  post(app, '/v1/refresh', { refresh_token }, caller)

/** A refresh that must succeed. */
export const refreshed = async (app: App, tokens: Tokens, caller?: Caller): Promise<Tokens> =>
  good(await refresh(app, tokens, caller))

/** What a protected route says to an access token: 200, or the code of the refusal. */
export async function verdict(app: App, { access_token }: Pick<Tokens, 'access_token'>): Promise<string> {
  const reply = await app.inject({ url: '/v1/me', headers: bearer(access_token) })
  return reply.statusCode === 200 ? 'good' : reply.json().code
}

/** What `/v1/refresh` says to a refresh token. */
export async function refreshVerdict(app: App, tokens: Tokens): Promise<string> {
  const reply = await refresh(app, tokens)
  return reply.statusCode === 200 ? 'good' : reply.json().code
}

export function claimsOf({ access_token }: Pick<Tokens, 'access_token'>) {
  return JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString())
}

/** An admin who was made one by the operator. */
export async function signUpAdmin({ app, database }: Pick<TestServer, 'app' | 'database'>): Promise<User> {
  const user = await signUp(app)
  const source = { ip: null, userAgent: null, requestId: null }
  await createAccountStore(database).change(user.id, { roles: ['admin'] }, 1, { event: 'roles_changed', source })
  return { ...user, ...(await logIn(app, user.email)) }
}

/** What an admin does to an account. */
export const administer = (app: App, admin: Tokens, id: string, change: object) =>
  app.inject({
    method: 'PATCH',
    url: `/v1/admin/accounts/${id}`,
    payload: change,
    headers: bearer(admin.access_token),
  })

/** Everything of an answer that a caller could tell two causes apart by. */
export function publicPart({ statusCode, headers, body }: LightMyRequestResponse): string {
  const { 'x-request-id': _id, date: _date, ...same } = headers
  return JSON.stringify([statusCode, same, { ...JSON.parse(body), request_id: '' }])
}

function good(reply: LightMyRequestResponse) {
  if (reply.statusCode >= 300) throw new Error(`${reply.statusCode}: ${reply.body}`)
  return reply.json()
}
