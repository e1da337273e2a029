import { type Answer, readAnswer } from './answer.ts'
import { startCounting } from './clocks.ts'
import { SignetClientError } from './errors.ts'
import type { Given } from './parts.ts'

/** How long a request to the issuer may take. */
export const REQUEST_TIMEOUT_MS = 10_000

/** Requests to the issuer, each with a time limit. */
export function createRequests({ issuer, isCookie, platform }: Given) {
  const { fetch, clock } = platform
  /** Runs a request that is aborted after the time limit. It ends then also where `fetch` does not listen. */
  function limited<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController()
    return new Promise<T>((resolve, reject) => {
      const timer = clock.setTimeout(() => {
        reject(new SignetClientError('timeout'))
        controller.abort()
      }, REQUEST_TIMEOUT_MS)
      run(controller.signal)
        .then(resolve, reject)
        .finally(() => clock.clearTimeout(timer))
    })
  }

  const init: RequestInit = {
    credentials: isCookie ? 'include' : 'omit',
    redirect: 'error', // a redirect with 307 would carry password or refresh token to another host
  }
  return {
    /** What every request that changes the session is sent with. */
    init,
    limited,
    /** Sends JSON and reads the answer. Never rejects: no answer is an answer with a `failure`. */
    async post(path: string, body: object, accessToken?: string): Promise<Answer> {
      const since = startCounting(clock)
      const request: RequestInit = {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(accessToken && { authorization: `Bearer ${accessToken}` }) },
        body: JSON.stringify(body),
        ...init,
      }
      try {
        return await limited(async (signal) => {
          const response = await fetch(issuer + path, { ...request, signal })
          return { ...readAnswer(response, await response.text(), clock.wall()), since }
        })
      } catch (cause) {
        const isTimeout = cause instanceof SignetClientError
        return { status: 0, failure: isTimeout ? cause : new SignetClientError('network_error', { cause }) }
      }
    },
  }
}

export type Requests = ReturnType<typeof createRequests>
