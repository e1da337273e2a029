import type { LightMyRequestResponse } from 'fastify'
import type { Actor } from '../../src/administration/actor.ts'
import { NOTE_NOTHING } from '../../src/administration/note-refusal.ts'
import { createAdministerClients } from '../../src/clients/administer-clients.ts'
import type { Client, NewClient } from '../../src/clients/client.ts'
import { createClientStore } from '../../src/clients/client-store.ts'
import type { App } from '../../src/http/app-type.ts'
import type { TestServer } from './app.ts'

// What an integrator can do with the HTTP API, and what an operator does to register a client.

export const NOW = 1_800_000_000
export const OPERATOR: Actor = { actorId: undefined, source: { ip: null, userAgent: null, requestId: null } }

export interface Registered {
  readonly id: string
  readonly secret: string
  readonly client: Client
}

/** What the script does with the store of a server. */
export function operator({ database }: Pick<TestServer, 'database'>, now: () => number = () => NOW) {
  const parts = {
    clients: createClientStore(database),
    audience: ['http://127.0.0.1:3000'],
    noteRefusal: NOTE_NOTHING,
    revocationsApplied: async () => undefined,
    now,
  }
  return createAdministerClients(parts)
}

export async function register(server: TestServer, input: Partial<NewClient> = {}): Promise<Registered> {
  const { client, secret = '' } = await operator(server).create(
    { name: 'test', scope: 'read write', ...input },
    OPERATOR,
  )
  return { id: client.id, secret, client }
}

type Members = Readonly<Record<string, string | readonly string[] | undefined>>

/** A form body; a member with several values is repeated. */
export function formOf(members: Members): string {
  const pairs = Object.entries(members).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((item) => `${name}=${encodeURIComponent(item)}`),
  )
  return pairs.join('&')
}

export const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
})

/** Sends a form. */
export function send(
  app: App,
  path: 'token' | 'revoke' | 'introspect',
  form: Members | string,
  headers: Record<string, string> = {},
): Promise<LightMyRequestResponse> {
  const payload = typeof form === 'string' ? form : formOf(form)
  const type = { 'content-type': 'application/x-www-form-urlencoded' }
  return app.inject({ method: 'POST', url: `/oauth/${path}`, payload, headers: { ...type, ...headers } })
}

/** `good`, or the error of RFC 6749. */
export function outcome({ statusCode, body }: LightMyRequestResponse): string {
  return statusCode === 200 ? 'good' : JSON.parse(body).error
}

export function clientToken(app: App, { id, secret }: Registered, more: Members = {}) {
  return send(app, 'token', { grant_type: 'client_credentials', ...more }, basic(id, secret))
}

/** The token of a client that must get one. */
export async function tokenOf(app: App, client: Registered, more: Members = {}): Promise<string> {
  const reply = await clientToken(app, client, more)
  if (reply.statusCode !== 200) throw new Error(reply.body)
  return reply.json().access_token
}

/** What introspection says. */
export async function introspected(app: App, { id, secret }: Registered, token: string) {
  const reply = await send(app, 'introspect', { token }, basic(id, secret))
  if (reply.statusCode !== 200) throw new Error(reply.body)
  return reply.json()
}
