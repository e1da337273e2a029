import { type Answer, readAnswer } from './answer.ts'
import { startCounting } from './clocks.ts'
import { SignetClientError } from './errors.ts'
import { REQUEST_TIMEOUT_MS } from './limits.ts'
import type { Given } from './parts.ts'

/** Requests to the issuer that change the session, each with a time limit. */
export function createRequests({ issuer, isCookie, platform }: Given) {
  const { fetch, clock } = platform

  /**
   * Sends a request and reads the answer. It ends after the time limit also where `fetch` does not listen to a signal.
   *
   * @throws SignetClientError `timeout`, and what `fetch` throws
   */
  const send = (input: string | Request, init: RequestInit): Promise<Answer & { readonly response: Response }> => {
    const controller = new AbortController()
    const since = startCounting(clock)
    const ask = async () => {
      const response = await fetch(input, {
        ...init,
        credentials: isCookie ? 'include' : 'omit',
        redirect: 'error', // a redirect with 307 would carry password or refresh token to another host
        // A signal of the caller is left out: half of a change would leave a session whose tokens nobody has.
        signal: controller.signal,
      })
      return { ...readAnswer(response, await response.clone().text(), clock.wall()), since, response }
    }
    return new Promise((resolve, reject) => {
      const timer = clock.setTimeout(() => {
        reject(new SignetClientError('timeout'))
        controller.abort()
      }, REQUEST_TIMEOUT_MS)
      ask()
        .then(resolve, reject)
        .finally(() => clock.clearTimeout(timer))
    })
  }

  /** Sends JSON and reads the answer. Never rejects: no answer is an answer with a `failure`. */
  const post = (path: string, body: object, accessToken?: string, method = 'POST'): Promise<Answer> =>
    send(issuer + path, {
      method,
      headers: { 'content-type': 'application/json', ...(accessToken && { authorization: `Bearer ${accessToken}` }) },
      body: JSON.stringify(body),
    }).catch((cause) => ({
      status: 0,
      failure: cause instanceof SignetClientError ? cause : new SignetClientError('network_error', { cause }),
    }))
  return { send, post }
}

export type Requests = ReturnType<typeof createRequests>
