import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, me, pairOf, postLogin, postRefresh, type Tokens } from './people.ts'

// Clients that use the service while a failure happens.

export const EMAIL = 'load@example.com'

type Kind = 'verified' | 'refreshed' | 'loggedIn'

interface Options {
  /** The origin that the next request is sent to. */
  readonly origin: () => string
  readonly sessions: readonly Tokens[]
  /** Milliseconds between two requests of one client. */
  readonly pause?: number | undefined
  /** Called with every answer. */
  readonly observe?: (kind: Kind, answer: Answer) => void
}

export interface Load {
  /** Good answers so far. */
  readonly good: Record<Kind, number>
  /** Other answers so far, by kind of request and by answer. */
  readonly other: Map<string, number>
  /** Answers 503 without Retry-After. */
  readonly withoutRetryAfter: number
  /** The present tokens of every session. */
  readonly clients: readonly { tokens: Tokens }[]
  stop(): Promise<void>
}

/** Every session verifies and refreshes in turn, and one more client logs in again and again. */
export function startLoad({ origin, sessions, pause = 20, observe }: Options): Load {
  const good: Record<Kind, number> = { verified: 0, refreshed: 0, loggedIn: 0 }
  const other = new Map<string, number>()
  const clients = sessions.map((tokens) => ({ tokens }))
  let running = true
  let withoutRetryAfter = 0

  const count = (kind: Kind, answer: Answer): Answer => {
    observe?.(kind, answer)
    if (answer.status === 200) good[kind] += 1
    else {
      const name = `${kind}: ${answer.status ?? 'no answer'} ${answer.body.code ?? ''}`.trim()
      other.set(name, (other.get(name) ?? 0) + 1)
      if (answer.status === 503 && !answer.saysWhen) withoutRetryAfter += 1
    }
    return answer
  }
  const client = async (self: { tokens: Tokens }) => {
    while (running) {
      for (let i = 0; i < 3 && running; i += 1) {
        count('verified', await me(origin(), self.tokens))
        await sleep(pause)
      }
      self.tokens = pairOf(count('refreshed', await postRefresh(origin(), self.tokens))) ?? self.tokens
      await sleep(pause)
    }
  }
  const newcomer = async () => {
    while (running) {
      count('loggedIn', await postLogin(origin(), EMAIL))
      await sleep(10 * pause)
    }
  }
  const working = Promise.all([...clients.map(client), newcomer()])
  return {
    good,
    other,
    get withoutRetryAfter() {
      return withoutRetryAfter
    },
    clients,
    async stop() {
      running = false
      await working
    },
  }
}

/** Figures in words. */
export function told({ good, other }: Pick<Load, 'good' | 'other'>): string {
  const rest = [...other].map(([name, count]) => `${count} × ${name}`)
  return [`${good.verified} verified, ${good.refreshed} refreshed, ${good.loggedIn} logged in`, ...rest].join(', ')
}
