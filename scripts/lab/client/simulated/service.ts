import { randomUUID } from 'node:crypto'
import { revokeKey, rotateKeys } from '../../../../src/keys/change-keyring.ts'
import { anotherNode } from '../../../../test/support/another-node.ts'
import { registered, startApp, type TestServer } from '../../../../test/support/app.ts'
import { administer, logIn, signUpAdmin } from '../../../../test/support/front-door.ts'
import type { createStage } from '../../fuzz/stage.ts'
import type { SimulatedTime } from './time.ts'

export const ISSUER = 'http://auth.signet.test'
export const APP = 'http://app.signet.test'
export const TTL_SECONDS = 900
const YEAR_SECONDS = '31536000'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: Record<string, string>
  readonly body?: string | undefined
  readonly ip?: string
}
export interface Reply {
  readonly status: number
  readonly headers: Record<string, string>
  readonly setCookie: string | undefined
  readonly body: string
}

/** The app of production in this process: two nodes on one store, and what people and operators do to it. */
export async function startService(stage: ReturnType<typeof createStage>, time: SimulatedTime) {
  const env = {
    ISSUER,
    CORS_ORIGINS: APP,
    ACCESS_TOKEN_TTL: String(TTL_SECONDS),
    SESSION_IDLE_TTL: YEAR_SECONDS,
    SESSION_MAX_TTL: YEAR_SECONDS,
    LOG_LEVEL: 'silent',
  }
  const server = await startApp(stage as never, { env, now: time.seconds })
  const second = await anotherNode(stage as never, server, { now: time.seconds })
  const admin = await signUpAdmin(server)
  let app = server.app
  return {
    ...operator(server, time),
    async ask({ method, path, headers, body, ip = '192.0.2.1' }: Asked): Promise<Reply> {
      const payload = body === undefined ? {} : { payload: body }
      const reply = await app.inject({ method: method as 'GET', url: path, headers, remoteAddress: ip, ...payload })
      const { 'set-cookie': cookies, ...others } = reply.headers
      const texts = Object.entries(others).map(([name, value]) => [name, String(value)])
      const setCookie = [cookies ?? []].flat()[0]
      return { status: reply.statusCode, headers: Object.fromEntries(texts), setCookie, body: reply.body }
    },
    /** From now on the other node answers, which knows what the first one knew. */
    async fail(): Promise<void> {
      await new Promise((resolve) => setTimeout(resolve, 700)) // it looks into the store four times a second
      app = app === server.app ? second.app : server.app
    },
    /** The person logs in somewhere else, and ends all other sessions. */
    async endOthers(email: string): Promise<void> {
      const { access_token } = await logIn(app, email)
      const headers = { authorization: `Bearer ${access_token}` }
      const reply = await app.inject({ method: 'POST', url: '/v1/logout', headers, payload: { scope: 'others' } })
      if (reply.statusCode !== 204) throw new Error(`logout of the others: ${reply.body}`)
    },
    async setRoles(id: string, roles: readonly string[]): Promise<void> {
      const reply = await administer(app, await logIn(app, admin.email), id, { roles })
      if (reply.statusCode !== 200) throw new Error(`roles: ${reply.body}`)
    },
  }
}

/** What is done beside the API: new accounts, and scripts that change the keys. */
function operator({ app, folder, keyring }: TestServer, time: SimulatedTime) {
  const options = { now: time.seconds, bits: 2048 } as const
  return {
    /** @returns its id and its email */
    async newAccount() {
      const email = `${randomUUID()}@example.com`
      return { id: await registered(app, email), email }
    },
    async rotateKey(): Promise<void> {
      await rotateKeys(folder, { ...options, lead: TTL_SECONDS })
      await keyring.reload()
    },
    async revokeKey(): Promise<void> {
      const { kid } = keyring.signingKey()
      await revokeKey(folder, kid, { ...options, successor: true, unpublishedSuccessor: true, force: false })
      await keyring.reload()
    },
  }
}

export type Service = Awaited<ReturnType<typeof startService>>
