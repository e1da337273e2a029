import { wantsRefresh } from './authorized-fetch.ts'
import { refused, SignetClientError } from './errors.ts'
import { readTokens } from './judge-refresh.ts'
import type { Parts } from './parts.ts'

export interface Credentials {
  readonly email: string
  readonly password: string
}

/** Which sessions a logout ends: this one, all others of the person, or all. */
export type LogoutScope = 'session' | 'others' | 'all'

/** What a person does with a session: signing up, in and out, and showing the password again. */
export function createSignIn({ isCookie, held, requests, tabs, renewal, store }: Parts) {
  const { post } = requests

  /** Sends what proves who the person is, and takes the tokens of the answer. */
  const obtain = (path: string, body: object, accessToken?: string) =>
    // Not while a refresh is under way: its cookie would come after ours and bring the former session back.
    tabs.exclusive(async () => {
      const answer = await post(path, body, accessToken)
      const tokens = readTokens(answer)
      if (!tokens || !(isCookie || tokens.refreshToken || accessToken)) throw refused(answer)
      await renewal.take(tokens, accessToken ? 'renewed' : 'login')
    })
  /** Sends what has one right answer. @throws SignetClientError for any other */
  const demand = async (status: number, path: string, body: object, accessToken?: string) => {
    const answer = await post(path, body, accessToken)
    if (answer.status !== status) throw refused(answer)
  }
  const login = ({ email, password }: Credentials) =>
    obtain('/v1/login', { email, password, transport: isCookie ? 'cookie' : 'body' })
  /** Works with the access token, and once more with a new one when the server does not take it. */
  const authorized = (work: (accessToken: string) => Promise<void>): Promise<void> => {
    const attempt = async () => {
      const access = await renewal.access()
      if (!access) throw new SignetClientError('signed_out')
      await work(access.token)
    }
    return attempt().catch(async (error) => {
      if (!wantsRefresh(error.code)) throw error
      await renewal.refresh()
      await attempt()
    })
  }

  const logout = async (scope: LogoutScope = 'session') => {
    if (held.isOver()) return
    let answer = held.isUsable() ? await post('/v1/logout', { scope }, held.current()?.token) : undefined
    if (!answer || answer.status === 401) {
      // By the cookie, or by the refresh token.
      const stored = await store?.load()
      answer = await post('/v1/logout', { scope, refresh_token: stored?.refreshToken })
    }
    const wasOver = answer.code === 'invalid_refresh_token'
    if (!wasOver && answer.status !== 204) throw refused(answer)
    if (wasOver || scope !== 'others') await renewal.end('logout')
    if (wasOver && scope !== 'session') throw new SignetClientError('signed_out')
  }

  return {
    login,
    async register({ email, password }: Credentials): Promise<void> {
      await demand(201, '/v1/accounts', { email, password })
      await login({ email, password })
    },
    logout: (scope?: LogoutScope): Promise<void> => tabs.exclusive(() => logout(scope)),
    reauthenticate: (password: string): Promise<void> =>
      authorized((token) => obtain('/v1/reauthenticate', { password }, token)),
  }
}
