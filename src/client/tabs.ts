import { MAX_RETRY_AFTER_MS } from './answer.ts'
import { SignetClientError } from './errors.ts'
import type { Over } from './held-session.ts'
import { isToken } from './judge-refresh.ts'
import { ANSWER_WAIT_MS, LOCK_WAIT_MS } from './limits.ts'
import type { Basis } from './parts.ts'
import type { LockOptions, Locks, Platform } from './platform.ts'

/** What the tabs of one origin say to each other. Only an access token travels, never a refresh token. */
type Message = { readonly kind: 'ask' } | TokenMessage | WaitMessage | OverMessage
interface TokenMessage {
  readonly kind: 'login' | 'renewed' | 'answer'
  readonly token: string
  /** The end of its life by the wall clock, because the message may lie in the queue of a frozen tab for hours. */
  readonly untilMs: number
}
interface WaitMessage {
  readonly kind: 'wait'
  readonly code: string
  readonly status: number
  /** The end of the pause by the wall clock. */
  readonly untilMs: number
}
interface OverMessage {
  readonly kind: Over
  readonly sid: string
}

/** The tabs of one browser that share a session: one does what changes it, and all learn of it. */
export function createTabs({ issuer, isCookie, platform, held }: Basis) {
  const { clock, random } = platform
  const name = `signet-client ${issuer}`
  // Not with the body transport: there each tab or process has its own tokens, and a server those of many people.
  const { locks, channel: open }: Partial<Platform> = isCookie ? platform : {}
  const channel = open?.(name)
  let isClosed = false
  let onArrival: (() => void) | undefined
  let queue: Promise<void> = Promise.resolve()

  const assertOpen = () => {
    if (isClosed) throw new SignetClientError('closed')
  }
  const say = (message: Message) => channel?.postMessage({ signet: name, ...message })
  const tellToken = (kind: TokenMessage['kind']) => {
    if (held.isUsable()) say({ kind, token: held.current()?.token as string, untilMs: clock.wall() + held.leftMs() })
  }

  /** Every script of this origin can send messages; what is not exactly one of ours is ignored. */
  const receive = (data: unknown) => {
    const { signet, kind, token, sid, untilMs, code, status } = (data ?? {}) as Partial<Record<string, unknown>>
    if (signet !== name) return
    if (kind === 'ask') {
      tellToken('answer')
      const error = held.pause()?.error
      if (error) say({ kind: 'wait', code: error.code, status: error.status, untilMs: clock.wall() + held.pauseMs() })
    }
    if (/^(logout|ended|deleted)$/.test(kind as string) && sid) held.end(kind as OverMessage['kind'], sid as string)
    const left = (untilMs as number) - clock.wall()
    // What is no number gives NaN, which is not more than nothing.
    if (!(left > 0)) return
    if (kind === 'wait')
      held.wait(new SignetClientError(String(code), { status: Number(status) }), Math.min(left, MAX_RETRY_AFTER_MS))
    else if (!/^(login|renewed|answer)$/.test(kind as string) || !isToken(token)) return
    else if (!held.offer(token, left, kind as TokenMessage['kind'])) return
    onArrival?.()
  }
  if (channel) channel.onmessage = ({ data }) => receive(data)

  const withLock = (locks: Locks, work: () => Promise<void>) => {
    const controller = new AbortController()
    // Once it has the lock this means nothing.
    clock.setTimeout(() => controller.abort(), LOCK_WAIT_MS * (1 + random() / 3))
    let running: Promise<void> | undefined
    const start = () => {
      running ??= work()
      return running
    }
    const request = (options: LockOptions) => locks.request(name, options, start)
    request(controller) // for its `signal`
      // A holder from whom the lock is taken goes on with its work, and its request is rejected: that is no failure.
      .catch(() => running ?? request({ steal: true }))
      .catch(start) // no locks here after all: an opaque origin
  }

  return {
    /** @throws SignetClientError `closed` */
    assertOpen,
    say,
    tellToken,
    /**
     * Runs work that changes the session: one at a time in this browser with Web Locks, else one at a time in this tab,
     * and the server's grace makes tabs agree. Who waits too long takes the lock from its holder.
     */
    async exclusive<T>(work: () => Promise<T>): Promise<T> {
      assertOpen()
      return new Promise((resolve, reject) => {
        const run = () => work().then(resolve, reject)
        if (locks) withLock(locks, run)
        else queue = queue.then(run)
      })
    },
    /** Asks the other tabs for a newer token. Resolves when one came, or after a moment without. */
    ask: () =>
      channel &&
      new Promise<void>((resolve) => {
        onArrival = resolve
        clock.setTimeout(resolve, ANSWER_WAIT_MS)
        say({ kind: 'ask' })
      }),
    close() {
      isClosed = true
      channel?.close()
    },
  }
}

export type Tabs = ReturnType<typeof createTabs>
