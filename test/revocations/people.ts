import { randomUUID } from 'node:crypto'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import type { App } from '../../src/http/app-type.ts'
import { bearer, PASSWORD, type TestServer } from '../support/app.ts'

export interface Tokens {
  readonly access: string
  readonly refresh: string
}

/** Somebody who registered and logged in. */
export interface Person extends Tokens {
  readonly id: string
  readonly email: string
}

export const NOBODY = { ip: null, userAgent: null, requestId: null }

export async function newPerson(app: App): Promise<Person> {
  const email = `${randomUUID()}@example.com`
  const reply = await app.inject({ method: 'POST', url: '/v1/accounts', payload: { email, password: PASSWORD } })
  if (reply.statusCode !== 201) throw new Error(`register: ${reply.body}`)
  return { id: reply.json().id, email, ...(await login(app, email)) }
}

export async function login(app: App, email: string, password = PASSWORD): Promise<Tokens> {
  return tokensOf('/v1/login', app, { email, password })
}

export async function refresh(app: App, { refresh }: Tokens): Promise<Tokens> {
  return tokensOf('/v1/refresh', app, { refresh_token: refresh })
}

async function tokensOf(url: string, app: App, payload: object): Promise<Tokens> {
  const reply = await app.inject({ method: 'POST', url, payload })
  if (reply.statusCode !== 200) throw new Error(`${url}: ${reply.body}`)
  return { access: reply.json().access_token, refresh: reply.json().refresh_token }
}

/** Gives somebody roles, as the script does, and logs in again: the token from before is stale. */
export async function withRoles({ app, database }: TestServer, person: Person, roles: string[]): Promise<Person> {
  const audit = { event: 'roles_changed', origin: NOBODY } as const
  const outcome = await createAccountStore(database).change(person.id, { roles }, 1, audit)
  if (outcome !== 'done') throw new Error(outcome)
  return { ...person, ...(await login(app, person.email)) }
}

export async function newAdmin(server: TestServer): Promise<Person> {
  return withRoles(server, await newPerson(server.app), ['admin'])
}

export type Answer = Awaited<ReturnType<typeof call>>

/** Sends a request with an access token. */
export function call(
  app: App,
  token: string,
  method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE',
  url: string,
  payload?: object,
) {
  return app.inject({ method, url, headers: bearer(token), ...(payload && { payload }) })
}

/** Status and code of the answer to `GET /v1/me`. */
export async function standing(app: App, token: string): Promise<[status: number, code: string | undefined]> {
  const reply = await call(app, token, 'GET', '/v1/me')
  return [reply.statusCode, reply.json().code]
}
