import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createAccountStore } from '../../../src/accounts/account-store.ts'
import { loadConfig } from '../../../src/config/config.ts'
import type { Database } from '../../../src/db/database.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { randomId } from '../../../src/ids.ts'
import { createLimiter } from '../../../src/limits/limiter.ts'
import { createRefresh, type Refresh } from '../../../src/sessions/refresh.ts'
import { sessionLimits } from '../../../src/sessions/session.ts'
import { createSessionStore } from '../../../src/sessions/session-store.ts'
import { createIssuePair } from '../../../src/sessions/token-pair.ts'
import { UNLIMITED } from '../settings.ts'

export const GRACE = 10
export const SKEW = 5
const YEAR = '31536000'
const config = loadConfig({
  env: {
    ...UNLIMITED,
    REFRESH_GRACE: String(GRACE),
    REFRESH_RETRY: YEAR,
    SESSION_IDLE_TTL: YEAR,
    SESSION_MAX_TTL: YEAR,
    CLOCK_SKEW: String(SKEW),
  },
})

/** Later than any grace, whatever the clocks say. */
export const LATER = GRACE + 2 * SKEW + 1

export interface Place {
  readonly ip: string
  readonly userAgent: string
}
export const HOME: Place = { ip: '192.0.2.1', userAgent: 'Owner/1' }

export type Answer = { readonly token: string } | { readonly status: 401 | 429 }

/** One session on two nodes that share a store, each with a clock of its own. Time goes only when a test says so. */
export class OneSession {
  /** Seconds that really passed. */
  elapsed = 0
  /** What a clock that is never set shows. */
  readonly #start = 1_800_000_000
  #setBack = 0
  readonly #ahead = [0, 0]
  readonly #nodes: Refresh[]
  /** True when each node has a clock of its own. On SQLite all processes are on one machine. */
  readonly hasClocks: boolean
  #id = ''
  first = ''

  private constructor(database: Database) {
    this.hasClocks = database.engine === 'postgres'
    const keys = [{ id: randomBytes(8).toString('base64url'), signFrom: 0, secret: randomBytes(32) }]
    const refreshKeys = { current: () => keys }
    const issuePair = createIssuePair({ issue: async () => ({ token: '', expiresIn: 600 }), refreshKeys })
    const sessions = createSessionStore(database)
    const limits = sessionLimits(config, database)
    this.#nodes = [0, 1].map((node) => {
      const now = () => this.clock(node)
      const limiter = createLimiter(config, now)
      const revocationsApplied = async () => undefined
      return createRefresh({ sessions, refreshKeys, limits, issuePair, revocationsApplied, limiter, now })
    })
    this.isLive = async () => {
      const claim = { sessionId: this.#id, counter: Number.MAX_SAFE_INTEGER }
      return (await sessions.live(claim, this.clock(0))) !== undefined
    }
    this.remember = async () => {
      const [row = {}] = await database.query('SELECT * FROM sessions WHERE id = $1', [this.#id])
      const names = Object.keys(row)
      const values = names.map((name) => row[name] ?? null)
      const sql = `UPDATE sessions SET ${names.map((name, index) => `${name} = $${index + 1}`).join(', ')}
        WHERE id = $${names.indexOf('id') + 1}`
      return async () => void (await database.query(sql, values))
    }
    this.#open = async () => {
      const source = { ...HOME, requestId: null }
      const now = this.clock(0)
      const id = randomId()
      this.#id = id
      const account = { id, email: `${id}@example.com`, passwordHash: 'x', roles: [], tokenVersion: 1, createdAt: now }
      await createAccountStore(database).insert(
        { ...account, status: 'active' },
        { event: 'account_registered', source },
      )
      const times = { createdAt: now, lastUsedAt: now, expiresAt: now + limits.idleTtl }
      const session = { id, accountId: id, clientId: 'signet', scope: '', ...times, ...HOME }
      const opened = await sessions.open(session, 'x', limits, { event: 'login_succeeded', source })
      assert.ok(opened)
      this.first = (
        await issuePair({ ...session, authTime: now, counter: 0, rotatedAt: now }, opened.subject)
      ).refreshToken
    }
  }

  readonly #open: () => Promise<void>
  readonly isLive: () => Promise<boolean>
  /** Resolves with a function that puts the row of the session back as it is now: a failover lost what came after. */
  readonly remember: () => Promise<() => Promise<void>>

  static async create(database: Database): Promise<OneSession> {
    const service = new OneSession(database)
    await service.#open()
    return service
  }

  clock(node: number): number {
    return this.#start + this.elapsed - this.#setBack + (this.#ahead[node] ?? 0)
  }

  pass(seconds: number): void {
    this.elapsed += seconds
  }

  setBack(seconds: number): void {
    this.#setBack += seconds
  }

  /** Two clocks never differ by more than the setting allows. */
  drift(node: number, ahead: number): void {
    if (this.hasClocks) this.#ahead.fill(0).fill(ahead, node, node + 1)
  }

  async show(token: string, place: Place, node = 0): Promise<Answer> {
    const refresh = this.#nodes[node] as Refresh
    try {
      return { token: (await refresh(token, { ...place, requestId: null })).refreshToken }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      return { status: error.code === 'too_many_requests' ? 429 : 401 }
    }
  }
}
