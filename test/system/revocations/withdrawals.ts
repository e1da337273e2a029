import type { App } from '../../../src/http/app-type.ts'
import { PASSWORD, type TestServer } from '../../support/app.ts'
import { administer, logIn, signUp, type Tokens, type User } from '../../support/front-door.ts'
import { basic, type Registered, register, send, tokenOf } from '../../support/oauth.ts'
import { call } from '../../support/people.ts'

// Every way in which a token is withdrawn, each with a token of its own.

/** One way to withdraw a token, and the token. */
export interface Subject {
  readonly name: string
  readonly token: string
  /** The session and the account of the token, when it has one. */
  readonly session?: Tokens
  readonly user?: User
  withdraw(app: App): Promise<{ statusCode: number }>
}

export interface World extends TestServer {
  readonly admin: User
  readonly client: Registered
}

const MAKERS: ((world: World) => Promise<Omit<Subject, 'name'>>)[] = [
  function logout({ app }) {
    return ofPerson(app, (token, app) => call(app, token, 'POST', '/v1/logout', {}))
  },
  function logoutEverywhere({ app }) {
    return ofPerson(app, (token, app) => call(app, token, 'POST', '/v1/logout', { scope: 'all' }))
  },
  async function passwordChange({ app }) {
    const user = await signUp(app)
    const other = await logIn(app, user.email)
    const change = { current_password: PASSWORD, new_password: 'a longer horse and a second battery staple' }
    const withdraw = (app: App) => call(app, other.access_token, 'PUT', '/v1/me/password', change)
    return { token: user.access_token, session: user, user, withdraw }
  },
  function suspension({ app, admin }) {
    return ofPerson(app, (_token, app, { id }) => administer(app, admin, id, { status: 'suspended' }))
  },
  function roleChange({ app, admin }) {
    return ofPerson(app, (_token, app, { id }) => administer(app, admin, id, { roles: ['support'] }))
  },
  async function revokedToken({ app, client }) {
    const token = await tokenOf(app, client)
    return { token, withdraw: (app) => send(app, 'revoke', { token }, basic(client.id, client.secret)) }
  },
  async function disabledClient(world) {
    const client = await register(world)
    const disable = { status: 'disabled' }
    const withdraw = (app: App) =>
      call(app, world.admin.access_token, 'PATCH', `/v1/admin/clients/${client.id}`, disable)
    return { token: await tokenOf(world.app, client), withdraw }
  },
]

async function ofPerson(app: App, withdraw: (token: string, app: App, user: User) => Promise<{ statusCode: number }>) {
  const user = await signUp(app)
  const { access_token: token } = user
  return { token, session: user, user, withdraw: (app: App) => withdraw(token, app, user) }
}

export const subjects = (world: World): Promise<Subject[]> =>
  Promise.all(MAKERS.map(async (make) => ({ name: make.name, ...(await make(world)) })))

export async function withdrawAll(apps: readonly App[], all: readonly Subject[]): Promise<void> {
  for (const [index, subject] of all.entries()) {
    const { statusCode } = await subject.withdraw(apps[index % apps.length] as App)
    if (statusCode >= 300) throw new Error(`${subject.name}: ${statusCode}`)
  }
}
