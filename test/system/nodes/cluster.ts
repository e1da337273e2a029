import type { Test } from 'tap'
import { bearer, PASSWORD } from '../../support/app.ts'
import { isolated, post, run, type ServerProcess, startServer } from '../../support/process.ts'

// Real server processes on one database and one keys folder, and what clients, admins and operators do with them.

export interface Tokens {
  readonly access: string
  readonly refresh: string
}

/** Settings that make any number of servers nodes of one service. */
export async function sharedSettings(t: Test, settings: Record<string, string> = {}): Promise<Record<string, string>> {
  return { ...(await isolated(t)), ISSUER: 'http://signet.test', PASSWORD_QUEUE: '1000', ...settings }
}

/** Two nodes that boot together. */
export async function twoNodes(t: Test, env: Record<string, string>): Promise<[ServerProcess, ServerProcess]> {
  return Promise.all([startServer(t, env), startServer(t, env)])
}

export async function register({ url }: ServerProcess, email: string): Promise<string> {
  const reply = await post(`${url}/v1/accounts`, { email, password: PASSWORD })
  if (reply.status !== 201) throw new Error(`register: ${await reply.text()}`)
  return ((await reply.json()) as { id: string }).id
}

export async function login({ url }: ServerProcess, email: string): Promise<Tokens> {
  return tokensOf(await post(`${url}/v1/login`, { email, password: PASSWORD }))
}

export const postRefresh = ({ url }: ServerProcess, { refresh }: Pick<Tokens, 'refresh'>) =>
  post(`${url}/v1/refresh`, { refresh_token: refresh })

export async function tokensOf(reply: Response): Promise<Tokens> {
  if (reply.status !== 200) throw new Error(`${reply.status}: ${await reply.text()}`)
  const { access_token, refresh_token } = (await reply.json()) as { access_token: string; refresh_token: string }
  return { access: access_token, refresh: refresh_token }
}

/** What `GET /v1/me` says: 200, or the code of the refusal. */
export async function verdict({ url }: ServerProcess, { access }: Pick<Tokens, 'access'>): Promise<200 | string> {
  const reply = await fetch(`${url}/v1/me`, { headers: bearer(access) })
  const { code } = (await reply.json()) as { code?: string }
  return reply.status === 200 ? 200 : String(code)
}

export async function logout({ url }: ServerProcess, { access }: Pick<Tokens, 'access'>): Promise<void> {
  const reply = await post(`${url}/v1/logout`, {}, bearer(access))
  if (reply.status !== 204) throw new Error(`logout: ${await reply.text()}`)
}

/** Runs the accounts script, as an operator does. */
export async function accounts(t: Test, env: Record<string, string>, args: string, stdin = ''): Promise<void> {
  const { code, stderr } = await run(t, 'scripts/accounts.ts', args.split(' '), env, stdin).finished
  if (code !== 0) throw new Error(stderr)
}

export async function adminOf(t: Test, node: ServerProcess): Promise<Tokens> {
  await accounts(t, node.env, 'create --email admin@example.com --role admin', PASSWORD)
  return login(node, 'admin@example.com')
}

export async function change(node: ServerProcess, admin: Tokens, id: string, body: object): Promise<void> {
  const reply = await fetch(`${node.url}/v1/admin/accounts/${id}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json', ...bearer(admin.access) },
    body: JSON.stringify(body),
  })
  if (reply.status !== 200) throw new Error(`change: ${await reply.text()}`)
}

/** Median, 99th percentile and largest of some milliseconds, in words. */
export function summary(milliseconds: readonly number[]): string {
  const sorted = milliseconds.toSorted((a, b) => a - b)
  const at = (share: number) => `${(sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN).toFixed(1)} ms`
  return `median ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} of ${sorted.length}`
}
