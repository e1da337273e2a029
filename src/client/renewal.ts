import { refused, type SignetClientError } from './errors.ts'
import type { Access, Over } from './held-session.ts'
import { judgeRefresh, type Tokens } from './judge-refresh.ts'
import { MAX_TURNS, WAKE_SPREAD_MS } from './limits.ts'
import type { Shared } from './parts.ts'

/** Keeps an access token at hand: renews it when it is used and little of its life is left, once at a time. */
export function createRenewal({ held, requests, tabs, store, platform, emit }: Shared) {
  const { clock, page, random } = platform
  let flight: Promise<void> | undefined
  let timer: unknown
  /** The refresh token that belongs to the access token in memory. */
  let refreshToken: string | undefined

  /** After a failure, and only then, there is a timer: it tries again once the token has ended, if anybody looks. */
  const schedule = (leastMs: number) => {
    clock.clearTimeout(timer)
    timer = clock.setTimeout(
      () => {
        if (!held.isFailing()) return
        held.fail()
        if (!page.isHidden()) refreshQuietly()
      },
      // A moment later: a timer that comes too early by a rounding would find the pause still there.
      Math.max(held.pauseMs(), held.leftMs(), leastMs) + 1,
    )
  }
  /** The page is looked at again, or the network is back. What the server asked for (`Retry-After`) still counts. */
  const stopListening = page.onWake(() => {
    const pause = held.pause()
    if (page.isHidden() || !pause) return
    const spreadMs = random() * WAKE_SPREAD_MS
    // Never longer: whoever uses the session after the pause does not wait.
    pause.ms -= pause.error.status ? 0 : Math.max(held.pauseMs() - spreadMs, 0)
    schedule(spreadMs)
  })

  /** Takes the tokens that an answer of the server has brought: stored first, then used, then told. */
  const take = async (tokens: Tokens, why: 'login' | 'renewed'): Promise<void> => {
    tabs.assertOpen()
    const { accessToken, lifeMs, refreshToken: next = refreshToken ?? '' } = tokens
    await store?.save({ accessToken, lifeMs, refreshToken: next })
    refreshToken = next
    held.adopt(tokens, why)
    tabs.tellToken(why)
  }

  /** The session is over: nothing of it stays here, and the other tabs learn of it. */
  const end = async (why: Over): Promise<void> => {
    const sid = held.current()?.claims.sid
    held.end(why)
    refreshToken = undefined
    if (sid) tabs.say({ kind: why, sid })
    // If it can't be removed: the server refuses what is left.
    await store?.save(null).catch(() => undefined)
  }

  /**
   * Exchanges the refresh token, or learns that the session is over.
   *
   * @throws SignetClientError when the answer says nothing
   */
  const exchange = async (turns = MAX_TURNS): Promise<void> => {
    const stored = await store?.load()
    if (stored === null) return end(refreshToken ? 'logout' : 'none')
    const before = held.current()
    const wasOver = held.isOver()
    if (store && stored) {
      refreshToken = stored.refreshToken
      // What another process has stored, or this one before its start, if it is new here and lives.
      const { accessToken } = stored
      const lifeMs = store.leftMs(stored)
      if (lifeMs > 0 && accessToken !== before?.token) return held.adopt({ accessToken, lifeMs }, 'renewed')
    }
    const answer = await requests.post('/v1/refresh', { refresh_token: stored?.refreshToken })
    tabs.assertOpen()
    // Another tab took the lock while this one was frozen, and what it got is newer; or it has signed out.
    if (held.current() !== before || held.isOver() !== wasOver) return
    const verdict = judgeRefresh(answer, !store)
    if (verdict !== 'wait') {
      if ((await store?.load())?.refreshToken === stored?.refreshToken)
        return verdict === 'over' ? end('ended') : take(verdict, 'renewed')
      // Another process was faster: what it wrote counts, and not this answer.
      if (turns > 1) return exchange(turns - 1)
    }
    throw refused(answer)
  }

  const renew = async (): Promise<void> => {
    const before = held.current()
    /** False when another tab has done it. Throws its error when that brought nothing: then all tabs wait. */
    const isWanted = () => {
      tabs.assertOpen()
      if (held.current() !== before || held.isOver()) return false
      if (held.pauseMs() > 0) throw held.pause()?.error
      return true
    }
    try {
      if (isWanted())
        await tabs.exclusive(async () => {
          if (isWanted()) await tabs.ask()
          if (isWanted()) await exchange()
        })
    } catch (thrown) {
      tabs.assertOpen()
      const error = thrown as SignetClientError
      // The session stays: the next try waits, longer each time.
      if (error !== held.pause()?.error) {
        held.wait(error)
        emit({ type: 'waiting', error })
      }
      error.retryAfterMs = held.pauseMs()
      held.fail()
      schedule(0)
      throw error
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
      else if (current && held.leftMs() < current.renewBelowMs) refreshQuietly()
      return held.current()
    },
    close() {
      clock.clearTimeout(timer)
      stopListening()
    },
  }
}

export type Renewal = ReturnType<typeof createRenewal>
