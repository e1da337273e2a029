import { randomBytes } from 'node:crypto'
import { createAccountStore } from '../../../src/accounts/account-store.ts'
import { loadConfig } from '../../../src/config/config.ts'
import type { Database } from '../../../src/db/database.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { randomId } from '../../../src/ids.ts'
import type { RefreshKey } from '../../../src/keys/refresh-keys.ts'
import { createLimiter } from '../../../src/limits/limiter.ts'
import { endEverybody } from '../../../src/revocations/everybody-store.ts'
import { FollowedRevocations } from '../../../src/revocations/follow-revocations.ts'
import { createRevocationStore } from '../../../src/revocations/revocation-store.ts'
import { createEndSession, type EndSession, type LogoutScope } from '../../../src/sessions/end-session.ts'
import { createRefresh, type Refresh } from '../../../src/sessions/refresh.ts'
import { encodeRefreshToken } from '../../../src/sessions/refresh-token.ts'
import { createSessionStore, type SessionStore } from '../../../src/sessions/session-store.ts'
import { createIssuePair, type IssuePair } from '../../../src/sessions/token-pair.ts'
import type { Grant } from '../../../src/tokens/issue.ts'
import { UNLIMITED } from '../../support/app.ts'
import { LIMITS, type Outcome } from './session-model.ts'

const source = { ip: null, userAgent: null, requestId: null }

/** The rules and stores of sessions for one account, without HTTP, passwords and RSA. */
export class Sut {
  readonly keys: RefreshKey[]
  now: number
  readonly #accountId = randomId()
  readonly #sessions: SessionStore
  readonly #issuePair: IssuePair
  readonly #refresh: Refresh
  readonly #endSession: EndSession
  readonly #revocations: FollowedRevocations
  #outcome: Outcome | 'forged' = 'refused'
  readonly #database: Database
  /** Of the last access token of each session. */
  readonly #versions = new Map<string, number>()

  private constructor(database: Database, now: number) {
    this.now = now
    this.#database = database
    this.keys = [{ id: randomBytes(8).toString('base64url'), signFrom: 0, secret: randomBytes(32) }]
    this.#sessions = createSessionStore(database)
    const clock = () => this.now
    const refreshKeys = { current: () => this.keys }
    const issue = async (grant: Grant) => {
      this.#versions.set(grant.sid ?? '', grant.token_version ?? 0)
      return { token: JSON.stringify(grant), expiresIn: 600 }
    }
    this.#issuePair = createIssuePair({ issue, refreshKeys })
    const store = createRevocationStore(database)
    this.#revocations = new FollowedRevocations({ store, now: clock, monotonic: () => 0, report: () => undefined })
    const observe = (outcome: Outcome | 'forged') => {
      this.#outcome = outcome
    }
    const parts = { sessions: this.#sessions, revocationsApplied: () => this.#revocations.catchUp(), now: clock }
    const limiter = createLimiter(loadConfig({ env: UNLIMITED }), clock)
    this.#refresh = createRefresh({
      ...parts,
      refreshKeys,
      limits: LIMITS,
      issuePair: this.#issuePair,
      limiter,
      observe,
    })
    this.#endSession = createEndSession(parts)
  }

  static async create(database: Database, now: number): Promise<Sut> {
    const sut = new Sut(database, now)
    const id = sut.#accountId
    await createAccountStore(database).insert(
      {
        id,
        email: `${id}@example.com`,
        passwordHash: 'x',
        status: 'active',
        roles: [],
        tokenVersion: 1,
        createdAt: now,
      },
      { event: 'account_registered', source },
    )
    return sut
  }

  async login(): Promise<{ id: string; token: string }> {
    const { now } = this
    const id = randomId()
    const times = { createdAt: now, lastUsedAt: now, expiresAt: now + LIMITS.idleTtl }
    const session = {
      id,
      accountId: this.#accountId,
      clientId: 'signet',
      scope: '',
      ...times,
      ip: null,
      userAgent: null,
    }
    const opened = await this.#sessions.open(session, 'x', LIMITS, { event: 'login_succeeded', source })
    if (opened === undefined) throw new Error('the login was refused')
    if (opened.ended > 0) await this.#revocations.catchUp()
    const pair = await this.#issuePair({ ...session, authTime: now, counter: 0, rotatedAt: now }, opened.subject)
    return { id, token: pair.refreshToken }
  }

  /** A token with our own signature, given away or not. */
  tokenOf(sessionId: string, counter: number): string {
    return encodeRefreshToken({ sessionId, counter }, this.keys, this.now)
  }

  async refresh(token: string): Promise<{ outcome: Outcome; next?: string }> {
    try {
      const { refreshToken: next } = await this.#refresh(token, source)
      return { outcome: this.#outcome as Outcome, next }
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'invalid_refresh_token') throw error
      return { outcome: this.#outcome === 'forged' ? 'refused' : (this.#outcome as Outcome) }
    }
  }

  logOut(sessionId: string, scope: LogoutScope): Promise<void> {
    return this.#endSession.logout({ accountId: this.#accountId, sessionId }, scope, source)
  }

  /** As an operator does. */
  async endEverybody(): Promise<void> {
    await endEverybody(this.#database, this.now, { event: 'all_sessions_ended', source })
    await this.#revocations.catchUp()
  }

  /** Ids of the live sessions. */
  async list(): Promise<string[]> {
    return (await this.#sessions.list(this.#accountId, this.now)).map(({ id }) => id)
  }

  isRevoked(sid: string): boolean {
    const claims = { iss: '', aud: '', sub: this.#accountId, client_id: 'signet', iat: 0, exp: 1, jti: '', sid }
    return this.#revocations.judge({ ...claims, token_version: this.#versions.get(sid) ?? 0 }) !== 'good'
  }
}
