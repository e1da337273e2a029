import { createAccountStore } from '../../src/accounts/account-store.ts'
import type { App } from '../../src/http/app-type.ts'
import { bearer, type TestServer } from './app.ts'
import { logIn, type User } from './front-door.ts'

export const NOBODY = { ip: null, userAgent: null, requestId: null }

type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'

/** Sends a request with an access token. */
export function call(app: App, token: string, method: Method, url: string, payload?: object) {
  return app.inject({ method, url, headers: bearer(token), ...(payload && { payload }) })
}

/** Status and code of the answer to `GET /v1/me`. */
export async function standing(app: App, token: string): Promise<[status: number, code: string | undefined]> {
  const reply = await call(app, token, 'GET', '/v1/me')
  return [reply.statusCode, reply.json().code]
}

/** Gives somebody roles, as the script does, and logs in again: the token from before is stale. */
export async function withRoles({ app, database }: TestServer, user: User, roles: string[]): Promise<User> {
  const audit = { event: 'roles_changed', source: NOBODY } as const
  const outcome = await createAccountStore(database).change(user.id, { roles }, 1, audit)
  if (outcome !== 'done') throw new Error(outcome)
  return { ...user, ...(await logIn(app, user.email)) }
}
