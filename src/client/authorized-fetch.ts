import { SignetClientError } from './errors.ts'
import type { Access } from './held-session.ts'
import { readTokens } from './judge-refresh.ts'
import { NO_FORCE_MS } from './limits.ts'
import { absolute, originOf } from './origins.ts'
import type { Parts } from './parts.ts'

type AuthorizedFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** `fetch` with the access token for the origins of the API, and for no others. */
export function createFetch(parts: Parts): AuthorizedFetch {
  const { issuer, origins, held, renewal, requests, tabs, platform, onStepUp, emit } = parts
  const { clock } = platform
  let stepUp: Promise<void> | undefined
  let noForceUntil = 0

  /** Some routes of the server change the session itself. */
  const send = async (input: string | Request, init: RequestInit, route: string): Promise<Response> => {
    if (!SESSION_ROUTE.test(route)) return platform.fetch(input, init)
    // Not while another tab refreshes, which would send a refresh token that has just become old.
    return tabs.exclusive(async () => {
      const answer = await requests.send(input, init)
      const tokens = readTokens(answer)
      if (tokens) await renewal.take(tokens, 'renewed')
      if (/^d/i.test(route) && answer.response.ok) await renewal.end('deleted')
      return answer.response
    })
  }

  /** @returns true when there is another token than the one that was refused */
  const isRemedied = async (
    isStepUp: boolean,
    response: Response,
    refused: Access,
    canRepeat: boolean,
  ): Promise<boolean> => {
    if (isStepUp) {
      const maxAge = Number(/\bmax_age="?(\d+)/.exec(challengeOf(response))?.[1])
      emit({ type: 'step-up', maxAge })
      if (!onStepUp || !canRepeat) return false
      stepUp ??= Promise.resolve({ maxAge })
        .then(onStepUp)
        .finally(() => {
          stepUp = undefined
        })
      await stepUp.catch(() => undefined)
    } else if (held.current() === refused) {
      if (clock.monotonic() < noForceUntil) return false
      await renewal.refresh().catch((error) => {
        if (canRepeat) throw error
      })
    }
    return !held.isOver() && held.current() !== refused
  }

  return async (input, init = {}) => {
    const request = (input as Partial<Request>).url ? (input as Request) : undefined
    const address = absolute(request?.url ?? String(input), platform.base)
    const headers = new Headers(init.headers ?? request?.headers)
    const isApi = origins.has(originOf(address)) && !headers.has('authorization')
    // What was asked for one person is not sent as another.
    const owner = held.current()?.claims.sub
    const own = (access: Access | undefined) => {
      if (owner && access && access.claims.sub !== owner) throw new SignetClientError('other_account')
      return access
    }
    let access = isApi ? own(await renewal.access()) : undefined
    if (!access) return platform.fetch(input, init)

    const route = `${init.method ?? request?.method} ${address.replace(issuer, '')}`
    const canRepeat = isRepeatable(init.body as Partial<ReadableStream>)
    const tried = new Set<boolean>()
    for (;;) {
      // The address that was judged is the one that is asked.
      headers.set('authorization', `Bearer ${access.token}`)
      const response = await send(
        request ? (canRepeat ? request.clone() : request) : address,
        { ...init, headers },
        route,
      )
      const code = response.status === 401 ? await codeOf(response) : undefined
      const isStepUp = code === STEP_UP
      if (!isStepUp && !wantsRefresh(code)) return response
      const isSecond = tried.has(isStepUp)
      tried.add(isStepUp)
      if (isSecond && !isStepUp) noForceUntil = clock.monotonic() + NO_FORCE_MS
      if (isSecond || !(await isRemedied(isStepUp, response, access, canRepeat)) || !canRepeat) return response
      response.body?.cancel().catch(() => undefined)
      access = own(held.current()) as Access
    }
  }
}

const SESSION_ROUTE = /^(delete|put) \/v1\/me(\/password)?$/i

const challengeOf = ({ headers }: Response) => headers.get('www-authenticate') ?? ''

/** The code of a 401: the challenge of RFC 6750 tells enough, else the body does. The caller can still read that. */
const codeOf = async (response: Response): Promise<string | undefined> => {
  const body = async () => (await response.clone().json()) as { code?: string } | null
  return /\berror="(\w+)"/.exec(challengeOf(response))?.[1] ?? (await body().catch(() => null))?.code
}

/** The code of a route that asks for a recent login (RFC 9470). */
export const STEP_UP = 'insufficient_user_authentication'
/** The codes after which a new access token helps. */
export const wantsRefresh = (code?: string): boolean => /^(invalid_token|token_(expired|stale))$/.test(code as string)

/** A stream can be read once. */
const isRepeatable = (body: { getReader?: unknown; [Symbol.asyncIterator]?: unknown } | null | undefined): boolean =>
  !body?.getReader && !body?.[Symbol.asyncIterator]
