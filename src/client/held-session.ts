import { backOffMs } from './back-off.ts'
import { type Claims, claimsOf } from './claims.ts'
import { type Elapsed, startCounting } from './clocks.ts'
import type { SignetClientError } from './errors.ts'
import type { Tokens } from './judge-refresh.ts'
import { MARGIN_MS } from './limits.ts'
import type { Platform } from './platform.ts'

/** `unknown`: there may be a session, and no access token lives now: before `start()`, or while offline. */
export type State = 'signed-in' | 'signed-out' | 'unknown'

/** Why `onChange` is called. */
export type Why =
  /** `start()` or the first request found an existing session. */
  | 'found'
  /** They found none. */
  | 'none'
  /** Somebody signed in, here or in another tab. */
  | 'login'
  /** A new access token came; its claims may differ. */
  | 'renewed'
  /** The access token ended and no new one can be had now. The session stays. */
  | 'unavailable'
  /** Somebody signed out, here or in another tab. */
  | 'logout'
  /** The server ended the session: ended elsewhere, expired, suspended, or stolen. */
  | 'ended'
  /** The account was deleted. */
  | 'deleted'

export type Over = 'none' | 'logout' | 'ended' | 'deleted'
export type Listener = (state: State, why: Why) => void

/** An access token and its life. */
export interface Access {
  readonly token: string
  readonly claims: Claims
  readonly since: Elapsed
  readonly lifeMs: number
  /** Below this rest of its life a use of the token renews it in the background. */
  readonly renewBelowMs: number
}

/** After a refresh that brought nothing, here or in another tab, there is none before `ms` have passed since. */
export interface Pause {
  readonly error: SignetClientError
  readonly since: Elapsed
  ms: number
}

/**
 * What one session object knows: the access token, in memory only, and how the session stands.
 *
 * Like all parts of this package it is a closure and not a class, and for that reason a long function: names of
 * variables are made short, names of members are not, and the package has a limit of size.
 */
export function createHeldSession({ clock, random }: Pick<Platform, 'clock' | 'random'>) {
  const listeners = new Set<Listener>()
  let current: Access | undefined
  let isOver = false
  /** True from a refresh that brought nothing until the next token. */
  let isFailing = false
  let wasSignedIn = false
  let endedSid: string | undefined
  let told: State = 'unknown'
  let pause: Pause | undefined
  /** Without a token in between. */
  let failures = 0

  const pauseMs = () => (pause ? pause.ms - pause.since() : 0)
  /** What is left of the life of the access token, in milliseconds. */
  const leftMs = () => (current ? current.lifeMs - current.since() : 0)
  const state = (): State =>
    isOver ? 'signed-out' : !current || (isFailing && leftMs() <= 0) ? 'unknown' : 'signed-in'
  const tell = (why: Why) => {
    const now = state()
    told = now
    // Each in a task of its own: what one listener throws is reported by the platform and stops nobody else.
    for (const listener of listeners) queueMicrotask(() => listener(now, why))
  }
  const adopt = ({ accessToken: token, lifeMs, since = startCounting(clock) }: Tokens, why: 'login' | 'renewed') => {
    const claims = claimsOf(token)
    // The cookie is one for all origins of a site: on another of them somebody may have signed in meanwhile.
    if (current && current.claims.sid !== claims.sid) why = 'login'
    current = { token, claims, since, lifeMs, renewBelowMs: lifeMs * (0.15 + 0.05 * random()) }
    isOver = isFailing = false
    pause = undefined
    failures = 0
    const isFirst = !wasSignedIn && why === 'renewed'
    wasSignedIn = true
    tell(isFirst ? 'found' : why)
  }

  return {
    current: () => current,
    isOver: () => isOver,
    isFailing: () => isFailing,
    state,
    leftMs,
    /** True while the token is good for some seconds more. Without one it is false: NaN is never less. */
    isUsable: () => leftMs() > Math.min(MARGIN_MS, (current?.lifeMs as number) / 10),
    adopt,
    /**
     * Takes a token that another tab has sent, if it is newer: by `iat`, which one server wrote into both. A late
     * message can neither bring an older token nor a session that ended.
     *
     * @param kind `answer`: to our question, so it must be really newer; else the tab has just got it
     * @returns true if it was taken
     */
    offer(accessToken: string, lifeMs: number, kind: 'login' | 'renewed' | 'answer'): boolean {
      const { sid, iat } = claimsOf(accessToken)
      const mine = current?.claims
      if (!sid || !iat || sid === endedSid || accessToken === current?.token) return false
      if (mine?.iat && iat < mine.iat + Number(kind === 'answer')) return false
      adopt({ accessToken, lifeMs }, kind === 'login' ? kind : 'renewed')
      return true
    },
    /** @param sid only if it is this session; without, whatever session there is */
    end(why: Over, sid?: string): void {
      const mine = current?.claims.sid
      if (sid && mine && sid !== mine) return
      endedSid = mine ?? sid
      current = undefined
      isOver = true
      isFailing = false
      if (told !== 'signed-out') tell(why === 'ended' && !wasSignedIn ? 'none' : why)
      wasSignedIn = false
    },
    pause: () => pause,
    /** What is left of the pause, in milliseconds. With the next token it is forgotten. */
    pauseMs,
    /**
     * A refresh brought nothing: the next one waits, longer each time.
     *
     * @param toldMs how long, when another tab has said so
     */
    wait(error: SignetClientError, toldMs?: number) {
      // Each tab says it to one that asks: that is one failure.
      if (pauseMs() <= 0) failures += 1
      const ms = toldMs ?? backOffMs(failures, random(), error.retryAfterMs)
      pause = { error, since: startCounting(clock), ms }
    },
    /** No token can be had now. That is told once the last one has ended. */
    fail() {
      isFailing = true
      if (state() !== told) tell('unavailable')
    },
    onChange(listener: Listener): () => void {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

export type HeldSession = ReturnType<typeof createHeldSession>
