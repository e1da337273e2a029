import { backOffMs } from './back-off.ts'
import { elapsed, type Instant, instantOf } from './clocks.ts'
import { refused, type SignetClientError } from './errors.ts'
import type { Access, Over } from './held-session.ts'
import { judgeRefresh, type Tokens } from './judge-refresh.ts'
import type { Shared } from './parts.ts'

/** When the network comes back, it does so for many: they spread over this time. */
const WAKE_SPREAD_MS = 3000
/** How often another process may change the storage under one refresh before it gives up for now. */
const MAX_TURNS = 3

/** Keeps an access token at hand: renews it when it is used and little of its life is left, once at a time. */
export function createRenewal({ held, requests, tabs, store, platform, emit }: Shared) {
  const { clock, page, random } = platform
  let flight: Promise<void> | undefined
  let failures = 0
  /** No refresh before `ms` have passed since. */
  let pause: { readonly since: Instant; ms: number; readonly error: SignetClientError } | undefined
  let timer: unknown
  /** The refresh token that belongs to the access token in memory. */
  let refreshToken: string | undefined
  /** With the next token the pause is forgotten. */
  const pauseMs = () => (pause && held.isFailing() ? pause.ms - elapsed(pause.since, clock) : 0)

  /** After a failure, and only then, there is a timer: it tries again once the token has ended, if anybody looks. */
  const schedule = (leastMs: number) => {
    clock.clearTimeout(timer)
    timer = clock.setTimeout(
      () => {
        if (!held.isFailing()) return
        held.fail()
        if (!page.isHidden()) refreshQuietly()
      },
      Math.max(pauseMs(), held.leftMs(), leastMs),
    )
  }
  /** The page is looked at again, or the network is back. What the server asked for (`Retry-After`) still counts. */
  const stopListening = page.onWake(() => {
    if (page.isHidden() || !pause || !held.isFailing()) return
    const spreadMs = random() * WAKE_SPREAD_MS
    // Never longer: whoever uses the session after the pause does not wait.
    pause.ms -= pause.error.status ? 0 : Math.max(pauseMs() - spreadMs, 0)
    schedule(spreadMs)
  })

  /** Takes the tokens that an answer of the server has brought: stored first, then used, then told. */
  async function take(tokens: Tokens, why: 'login' | 'renewed'): Promise<void> {
    tabs.assertOpen()
    const next = tokens.refreshToken ?? refreshToken
    await store?.save({ ...tokens, refreshToken: next })
    refreshToken = next
    held.adopt(tokens, why)
    tabs.tellToken(why)
  }

  /** The session is over: nothing of it stays here, and the other tabs learn of it. */
  async function end(why: Over): Promise<void> {
    const { sid } = held.current()?.claims ?? {}
    held.end(why)
    refreshToken = undefined
    if (sid) tabs.say({ kind: why, sid })
    // If it can't be removed: the server refuses what is left.
    await store?.clear().catch(() => undefined)
  }

  /**
   * Exchanges the refresh token, or learns that the session is over.
   *
   * @throws SignetClientError when the answer says nothing
   */
  async function exchange(turns = MAX_TURNS): Promise<void> {
    const stored = await store?.load()
    if (stored === null) return end(refreshToken ? 'logout' : 'none')
    const before = held.current()
    const wasOver = held.isOver()
    if (store && stored) {
      refreshToken = stored.refreshToken
      // What another process has stored, or this one before its start, if it is new here and lives.
      const { accessToken } = stored
      const lifeMs = store.leftMs(stored)
      if (lifeMs && accessToken !== before?.token) return held.adopt({ accessToken, lifeMs }, 'renewed')
    }
    const answer = await requests.post('/v1/refresh', stored ? { refresh_token: stored.refreshToken } : {})
    tabs.assertOpen()
    // Another tab took the lock while this one was frozen, and what it got is newer; or it has signed out.
    if (held.current() !== before || held.isOver() !== wasOver) return
    const verdict = judgeRefresh(answer, !store)
    if (verdict === 'wait') throw refused(answer)
    // Another process was faster: what it wrote counts, and not this answer.
    if ((await store?.load())?.refreshToken === stored?.refreshToken)
      return verdict === 'over' ? end('ended') : take(verdict, 'renewed')
    if (turns > 1) return exchange(turns - 1)
    throw refused(answer)
  }

  async function renew(): Promise<void> {
    if (pause && pauseMs() > 0) {
      pause.error.retryAfterMs = pauseMs()
      throw pause.error
    }
    const before = held.current()
    const isDone = () => held.current() !== before || held.isOver()
    try {
      await tabs.exclusive(async () => {
        if (!isDone()) await tabs.ask()
        if (!isDone()) await exchange()
      })
    } catch (error) {
      tabs.assertOpen()
      // The session stays: the next try waits, longer each time.
      const failure = error as SignetClientError
      failures = held.isFailing() ? failures + 1 : 1
      const ms = backOffMs(failures, random(), failure.retryAfterMs)
      pause = { since: instantOf(clock), ms, error: failure }
      failure.retryAfterMs = ms
      emit({ type: 'waiting', error: failure })
      held.fail()
      schedule(0)
      throw failure
    }
  }

  const refresh = (): Promise<void> => {
    flight ??= renew().finally(() => {
      flight = undefined
    })
    return flight
  }
  const refreshQuietly = () => void refresh().catch(() => undefined)

  return {
    take,
    end,
    /**
     * Renews now, or joins the refresh under way. Also resolves when the session proves to be over.
     *
     * @throws SignetClientError with `retryAfterMs` when the session stays and nothing came
     */
    refresh,
    /**
     * An access token that is good for some seconds more, or undefined when nobody is signed in.
     *
     * @throws SignetClientError when none can be had now
     */
    async access(): Promise<Access | undefined> {
      tabs.assertOpen()
      const current = held.current()
      if (!held.isOver() && !held.isUsable()) await refresh()
      else if (current && held.leftMs() < current.renewBelowMs && pauseMs() <= 0) refreshQuietly()
      return held.current()
    },
    close() {
      clock.clearTimeout(timer)
      stopListening()
    },
  }
}

export type Renewal = ReturnType<typeof createRenewal>
