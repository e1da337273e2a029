import type { TestServer } from './app.ts'
import type { ClientKey } from './assertion.ts'
import { register, send } from './oauth.ts'

/** Registers a client that shows who it is with these keys. @returns its id */
export async function registeredWith(server: TestServer, ...keys: ClientKey[]): Promise<string> {
  return (await register(server, { jwks: { keys: keys.map(({ jwk }) => jwk) } })).id
}

/** `good`, or why it was refused, as the log has it. */
export async function verdict(server: TestServer, form: Record<string, string>): Promise<string> {
  server.log.length = 0
  const reply = await send(server.app, 'token', form)
  if (reply.statusCode === 200) return 'good'
  const { error } = reply.json()
  if (error !== 'invalid_client') throw new Error(`${error}, and not invalid_client`)
  const refused = server.log.map((line) => JSON.parse(line)).find(({ msg }) => msg === 'refused')
  return refused.reason
}
