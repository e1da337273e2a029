import { setImmediate, setTimeout } from 'node:timers/promises'
import pino from 'pino'
import type { Test } from 'tap'
import { createAccountStore } from '../../../src/accounts/account-store.ts'
import { buildApp } from '../../../src/app.ts'
import { randomId } from '../../../src/ids.ts'
import { sessionLimits } from '../../../src/sessions/session.ts'
import { createSessionStore } from '../../../src/sessions/session-store.ts'
import { createIssuePair } from '../../../src/sessions/token-pair.ts'
import { createIssuer } from '../../../src/tokens/issue.ts'
import { startApp, type TestServer } from '../../support/app.ts'
import { type Engine, openNode } from '../../support/engines.ts'
import { type Tokens, verdict } from '../../support/front-door.ts'

/** Two nodes with the same keys and a clock for both, each with a way of its own to one database. */
export interface TwoNodes {
  readonly a: TestServer
  readonly b: TestServer
  now(): number
  pass(seconds: number): void
  /** An account, made without a password: for tests that need thousands. */
  newAccount(roles?: readonly string[]): Promise<string>
  /** Opens a session as a login on this node does. @returns undefined when the login would be refused */
  open(node: TestServer, accountId: string): Promise<Tokens | undefined>
}

const HASH = 'the hash that was verified'
const source = { ip: null, userAgent: null, requestId: null }

/** @param options.ahead seconds by which the clock of `b` is ahead */
export async function twoNodes(
  t: Test,
  engine: Engine,
  { env = {}, ahead = 0 }: { env?: Record<string, string>; ahead?: number } = {},
): Promise<TwoNodes> {
  const url = await engine.url(t)
  let instant = 1_800_000_000
  const now = () => instant
  const a = await startApp(t, { env: { DATABASE_URL: url, LOG_LEVEL: 'silent', ...env }, now })
  const b = await besides(t, a, url, () => instant + ahead)
  const newAccount = async (roles: readonly string[] = []) => {
    const id = randomId()
    const account = { id, email: `${id}@example.com`, passwordHash: HASH, tokenVersion: 1, createdAt: instant }
    await createAccountStore(a.database).insert(
      { ...account, status: 'active', roles },
      { event: 'account_registered', source },
    )
    return id
  }
  const openOn = new Map([a, b].map((node) => [node, opener(node, now)]))
  return {
    a,
    b,
    now,
    pass(seconds) {
      instant += seconds
    },
    newAccount,
    open: async (node, accountId) => openOn.get(node)?.(accountId),
  }
}

async function besides(t: Test, a: TestServer, url: string, now: () => number): Promise<TestServer> {
  const database = await openNode(t, url)
  const { config, keyring } = a
  const app = await buildApp({ config, database, keyring, logger: pino({ level: 'silent' }), now })
  t.teardown(() => app.close())
  return { ...a, app, database }
}

function opener({ config, database, keyring }: TestServer, now: () => number) {
  const sessions = createSessionStore(database)
  const limits = sessionLimits(config, database)
  const { ISSUER: issuer, AUDIENCE: audience, ACCESS_TOKEN_TTL: ttl } = config
  const issuePair = createIssuePair({
    issue: createIssuer({ issuer, audience, ttl, keyring, now }),
    refreshKeys: { current: () => keyring.refreshKeys() },
  })
  return async (accountId: string): Promise<Tokens | undefined> => {
    const at = now()
    const times = { createdAt: at, lastUsedAt: at, expiresAt: at + limits.idleTtl }
    const session = { id: randomId(), accountId, clientId: 'signet', scope: '', ...times, ip: null, userAgent: null }
    const audit = { event: 'login_succeeded', source, accountId, sessionId: session.id } as const
    const opened = await sessions.open(session, HASH, limits, audit)
    if (opened === undefined) return undefined
    const first = { ...session, authTime: at, counter: 0, rotatedAt: at }
    const { accessToken, refreshToken } = await issuePair(first, opened.subject)
    return { access_token: accessToken, refresh_token: refreshToken }
  }
}

export const times = (n: number) => Array.from({ length: n }, (_, index) => index)

/** Does something so many times, some of them at once. */
export async function rounds(count: number, atOnce: number, round: (n: number) => Promise<void>): Promise<void> {
  for (let first = 0; first < count; first += atOnce) {
    await Promise.all(times(Math.min(atOnce, count - first)).map((n) => round(first + n)))
  }
}

/**
 * Waits for a few turns of the event loop, so that neither side of a race always comes first: the faster side waits
 * for more turns.
 */
export async function aMoment(most = 12): Promise<void> {
  for (let turns = Math.floor(Math.random() * most); turns > 0; turns -= 1) await setImmediate()
}

/**
 * Of what another node revoked, a node learns a moment later. @returns how many of the access tokens it still takes
 * then
 */
export async function stillGood({ app }: TestServer, revoked: readonly Tokens[]): Promise<number> {
  const deadline = performance.now() + 5000
  for (;;) {
    const verdicts = await Promise.all(revoked.map((tokens) => verdict(app, tokens)))
    const good = verdicts.filter((code) => code === 'good').length
    if (good === 0 || performance.now() > deadline) return good
    await setTimeout(20)
  }
}
