import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { PASSWORD, startApp, type TestServer } from './app.ts'
import { signUp } from './front-door.ts'

// The refresh cookie by `inject`: what a browser gets and sends back.

export const ISSUER = 'https://id.example.com'
export const FRIEND = 'https://app.example.com'
export const NAME = '__Host-signet_refresh'
export const SAME_SITE = { 'sec-fetch-site': 'same-origin' }
export const IDLE = 5000

/** As if all accounts and sessions of the server came from Signet 0.2, and the update just now. */
export const updatedNow = ({ database }: Pick<TestServer, 'database'>) =>
  database.query('UPDATE schema_migrations SET applied_at = $1 WHERE version = 6', [systemClock() + 1])

type Reply = Awaited<ReturnType<typeof send>>

export const https = (t: Test) =>
  startApp(t, { env: { ISSUER, CORS_ORIGINS: `${FRIEND},https://admin.example.com`, SESSION_IDLE_TTL: String(IDLE) } })

export function send(
  { app }: Pick<TestServer, 'app'>,
  url: string,
  headers: Record<string, string | undefined>,
  payload: unknown = {},
) {
  const given = Object.entries(headers).filter(([, value]) => value !== undefined)
  return app.inject({ method: 'POST', url, headers: Object.fromEntries(given), payload: payload as string })
}

export const setCookies = ({ headers }: Reply) => [headers['set-cookie'] ?? []].flat()

/** `name=value` as the browser sends it back. */
export const kept = (reply: Reply) => setCookies(reply)[0]?.split(';')[0] ?? ''

/** Name and path of each cookie that an answer clears. */
export const cleared = (reply: Reply) =>
  setCookies(reply)
    .filter((line) => line.includes('Max-Age=0'))
    .map((line) => [line.split('=', 1)[0], /Path=([^;]+)/.exec(line)?.[1]])

/** Logs a browser in. */
export async function browser(
  server: Pick<TestServer, 'app'>,
): Promise<{ reply: Reply; cookie: string; access_token: string }> {
  const { email } = await signUp(server.app)
  const reply = await send(server, '/v1/login', {}, { email, password: PASSWORD, transport: 'cookie' })
  return { reply, cookie: kept(reply), access_token: reply.json().access_token }
}
