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
  const login = ({ email, password }: Credentials) =>
    obtain('/v1/login', { email, password, transport: isCookie ? 'cookie' : 'body' })
  const reauthenticate = async (password: string) => {
    const access = await renewal.access()
    if (!access) throw new SignetClientError('signed_out')
    await obtain('/v1/reauthenticate', { password }, access.token)
  }

  const logout = async (scope: LogoutScope = 'session') => {
    if (held.isOver()) return
    let answer = held.isUsable() ? await post('/v1/logout', { scope }, held.current()?.token) : undefined
    if (!answer || answer.status === 401) {
      // By the cookie, or by the refresh token.
      const stored = await store?.load()
      answer = await post('/v1/logout', { scope, ...(stored && { refresh_token: stored.refreshToken }) })
    }
    const wasOver = answer.code === 'invalid_refresh_token'
    if (!wasOver && answer.status !== 204) throw refused(answer)
    if (wasOver || scope !== 'others') await renewal.end('logout')
    if (wasOver && scope !== 'session') throw new SignetClientError('signed_out')
  }

  return {
    login,
    async register({ email, password }: Credentials): Promise<void> {
      const answer = await post('/v1/accounts', { email, password })
      if (answer.status !== 201) throw refused(answer)
      await login({ email, password })
    },
    logout: (scope?: LogoutScope): Promise<void> => tabs.exclusive(() => logout(scope)),
    reauthenticate: (password: string): Promise<void> =>
      reauthenticate(password).catch(async (error) => {
        if (!wantsRefresh(error.code)) throw error
        await renewal.refresh()
        await reauthenticate(password)
      }),
  }
}
