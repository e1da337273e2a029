import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../../src/errors/app-error.ts'
import type { Place } from './program.ts'

/** An MCP server must refuse a disabled client within this time. */
const TIMEOUT_MS = 10_000

const CALL = {
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'whoami', arguments: {} },
}

/** What an MCP server answers to a call of the tool. */
export function called(resource: string, token: string | undefined): Promise<Response> {
  const accept = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' }
  const headers = { ...accept, ...(token !== undefined && { authorization: `Bearer ${token}` }) }
  return fetch(resource, { method: 'POST', headers, body: JSON.stringify(CALL) })
}

/** Waits until a server answers, and sees that it answers a call without a token with the address of its metadata. */
export async function untilUp(resource: string, ended: () => string | false): Promise<void> {
  const { origin, pathname } = new URL(resource)
  for (const began = performance.now(); ; await sleep(50)) {
    const answer = await called(resource, undefined).catch(() => undefined)
    const complaint = ended()
    if (complaint !== false || performance.now() - began > TIMEOUT_MS)
      throw new OperatorError(`MCP: the server does not start: ${complaint}`)
    if (answer === undefined) continue
    const challenge = answer.headers.get('www-authenticate') ?? ''
    const metadata = `${origin}/.well-known/oauth-protected-resource${pathname}`
    if (answer.status !== 401 || !challenge.includes(`resource_metadata="${metadata}"`))
      throw new OperatorError(`MCP: a call without a token: ${answer.status} ${challenge}`)
    return
  }
}

/**
 * The tool answers to a client until the operator disables it, and never to a token that is none or is for somebody
 * else.
 *
 * @returns what the report says of it
 */
export async function takenBack(
  { issuer }: Place,
  resource: string,
  client: { readonly CLIENT_ID: string; readonly CLIENT_SECRET: string },
): Promise<string> {
  for (const token of ['x', await issuer.logIn()]) {
    const { status, headers } = await called(resource, token)
    if (status !== 401 || !headers.get('www-authenticate')?.includes('error="invalid_token"'))
      throw new OperatorError(`MCP: the server answers ${status} to a token that is not for it`)
  }
  const form = { grant_type: 'client_credentials', client_id: client.CLIENT_ID, client_secret: client.CLIENT_SECRET }
  const granted = await fetch(`${issuer.origin}/oauth/token`, { method: 'POST', body: new URLSearchParams(form) })
  const { access_token: token } = (await granted.json()) as { access_token: string }
  const first = await called(resource, token)
  if (first.status !== 200 || !(await first.text()).includes(client.CLIENT_ID))
    throw new OperatorError(`MCP: the server answers ${first.status} to a good token`)
  await issuer.disableClient(client.CLIENT_ID)
  const began = performance.now()
  while ((await called(resource, token)).status !== 401) {
    if (performance.now() - began > TIMEOUT_MS) throw new OperatorError('MCP: a disabled client is not refused')
    await sleep(10)
  }
  return `refused after ${((performance.now() - began) / 1000).toFixed(1)} s`
}
