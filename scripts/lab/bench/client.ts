import { randomBytes } from 'node:crypto'
import { OperatorError } from '../../../src/errors/app-error.ts'

export interface Credentials {
  readonly email: string
  readonly password: string
}

/** Registers an account over HTTP. */
export async function register(origin: string, email = 'bench@example.com'): Promise<Credentials> {
  const credentials = { email, password: randomBytes(18).toString('base64url') }
  await call(`${origin}/v1/accounts`, post(credentials))
  return credentials
}

/** Logs in over HTTP. */
export async function logIn(
  origin: string,
  credentials: Credentials,
): Promise<{ access_token: string; refresh_token: string }> {
  return JSON.parse(await call(`${origin}/v1/login`, post(credentials)))
}

/**
 * @returns the body of a good reply
 * @throws OperatorError for any other reply
 */
export async function call(url: string, init: RequestInit = {}): Promise<string> {
  const reply = await fetch(url, init)
  const text = await reply.text()
  if (!reply.ok) throw new OperatorError(`${init.method ?? 'GET'} ${new URL(url).pathname}: ${reply.status} ${text}`)
  return text
}

function post(body: unknown): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}
