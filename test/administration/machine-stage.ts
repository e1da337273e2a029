import { randomUUID } from 'node:crypto'
import type { RouteOptions } from 'fastify'
import type { Test } from 'tap'
import { ADMIN_SCOPES } from '../../src/administration/admin-scopes.ts'
import { registered, startApp } from '../support/app.ts'
import { claimsOf, signUp, signUpAdmin } from '../support/front-door.ts'
import { NOW, register, tokenOf } from '../support/oauth.ts'
import { call } from '../support/people.ts'

// A server with an admin and a machine that has every scope, and a row for each route below /v1/admin.

/** A scope of the machine that is not this server's. */
export const OTHERS = 'read'
export const SERVER = 'http://127.0.0.1:3000'

export interface Row {
  /** The scope that lets a machine in. */
  readonly scope: string
  readonly good: number
  /** Fills the path: a target that the machine may touch. Made anew for each call, because a call changes it. */
  readonly target?: () => Promise<Record<string, string>>
  readonly body?: object
  /** What reads leaves no row in the trail. */
  readonly reads?: true
}

/** A row for each route below `/v1/admin`. */
const rowsFor = ({
  account,
  client,
  session,
}: Record<'account' | 'client' | 'session', Required<Row>['target']>): Readonly<Record<string, Row>> => ({
  'GET /v1/admin/accounts': { scope: 'signet:accounts:read', good: 200, reads: true },
  'GET /v1/admin/accounts/:id': { scope: 'signet:accounts:read', good: 200, target: account, reads: true },
  'PATCH /v1/admin/accounts/:id': {
    scope: 'signet:accounts:write',
    good: 200,
    target: account,
    body: { status: 'suspended' },
  },
  'DELETE /v1/admin/accounts/:id': { scope: 'signet:accounts:write', good: 204, target: account },
  'POST /v1/admin/accounts': {
    scope: 'signet:accounts:write',
    good: 201,
    get body() {
      return { email: `${randomUUID()}@example.com` }
    },
  },
  'POST /v1/admin/accounts/:id/send-recovery': { scope: 'signet:accounts:write', good: 202, target: account },
  'POST /v1/admin/accounts/:id/revoke': { scope: 'signet:accounts:write', good: 204, target: account },
  'GET /v1/admin/accounts/:id/sessions': { scope: 'signet:accounts:read', good: 200, target: account, reads: true },
  'DELETE /v1/admin/accounts/:id/sessions/:sid': { scope: 'signet:accounts:write', good: 204, target: session },
  'GET /v1/admin/audit': { scope: 'signet:audit:read', good: 200, reads: true },
  'GET /v1/admin/clients': { scope: 'signet:clients:read', good: 200, reads: true },
  'POST /v1/admin/clients': { scope: 'signet:clients:write', good: 201, body: { name: 'made' } },
  'GET /v1/admin/clients/:id': { scope: 'signet:clients:read', good: 200, target: client, reads: true },
  'PATCH /v1/admin/clients/:id': {
    scope: 'signet:clients:write',
    good: 200,
    target: client,
    body: { status: 'disabled' },
  },
  'DELETE /v1/admin/clients/:id': { scope: 'signet:clients:write', good: 204, target: client },
  'POST /v1/admin/clients/:id/rotate-secret': { scope: 'signet:clients:write', good: 200, target: client, body: {} },
})

/** Sets of scopes that tell the scopes apart: none, each alone, all but one, all. */
export const SETS: readonly string[][] = [
  [],
  ...ADMIN_SCOPES.map((scope) => [scope]),
  ...ADMIN_SCOPES.map((scope) => ADMIN_SCOPES.filter((other) => other !== scope)),
  [...ADMIN_SCOPES],
]

export async function machineStage(t: Test) {
  const routes: RouteOptions[] = []
  const server = await startApp(t, { now: () => NOW, onRoute: (route) => void routes.push(route) })
  const { app, database } = server
  const admin = await signUpAdmin(server)
  const machine = await register(server, { scope: [...ADMIN_SCOPES, OTHERS].join(' ') })

  let count = 0
  const newAccount = () => {
    count += 1
    return registered(app, `person${count}@example.com`)
  }
  const newClient = (scope = '', audience: string[] = []) =>
    register(server, { scope, ...(audience.length > 0 && { audience }) })

  const account = async () => ({ id: await newAccount() })
  const client = async () => ({ id: (await newClient()).id })
  const session = async () => {
    const person = await signUp(app)
    return { id: person.id, sid: claimsOf(person).sid }
  }

  const tokens = new Map<string, Promise<string>>()
  /** A token of the machine with exactly these scopes. */
  const tokenWith = (scopes: readonly string[]) => {
    const scope = [...scopes, OTHERS].join(' ')
    if (!tokens.has(scope)) tokens.set(scope, tokenOf(app, machine, { scope }))
    return tokens.get(scope) as Promise<string>
  }

  async function ask(name: string, token: string, { target, body }: Pick<Row, 'target' | 'body'>) {
    const [method = '', path = ''] = name.split(' ')
    const params = (await target?.()) ?? {}
    const url = path.replaceAll(/:(\w+)/g, (_, param) => params[param] ?? '')
    return call(app, token, method as 'GET', url, body)
  }
  const rowsBy = async (actor: string) =>
    Number((await database.query('SELECT COUNT(*) AS n FROM audit_events WHERE actor_id = $1', [actor]))[0]?.n)
  return {
    server,
    app,
    database,
    routes,
    admin,
    machine,
    rows: rowsFor({ account, client, session }),
    newClient,
    account,
    tokenWith,
    ask,
    rowsBy,
  }
}
