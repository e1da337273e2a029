import type { Answer } from './answer.ts'
import { STEP_UP, wantsRefresh } from './authorized-fetch.ts'
import { refused, SignetClientError } from './errors.ts'
import { readTokens } from './judge-refresh.ts'
import type { Parts } from './parts.ts'

export interface Credentials {
  readonly email: string
  readonly password: string
}

/** What a person shows who got a message: the token of its link, or its code with the address. */
export type Proof = { readonly token: string } | { readonly email: string; readonly code: string }

export interface EmailChange {
  readonly newEmail: string
  /** Of now: who finds a phone unlocked can't take the account. */
  readonly password: string
}

/** Which sessions a logout ends: this one, all others of the person, or all. */
export type LogoutScope = 'session' | 'others' | 'all'

/** What a person does with a session and an account: signing up, in and out, showing the password, getting back in. */
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
  /** Waits for the one right answer. @throws SignetClientError for any other */
  const demand = async (status: number, asked: Answer | Promise<Answer>) => {
    const answer = await asked
    if (answer.status !== status) throw refused(answer)
  }
  const login = ({ email, password }: Credentials) =>
    obtain('/v1/login', { email, password, transport: isCookie ? 'cookie' : 'body' })
  /**
   * Works with the access token. When the server does not take it: once more with a new one, and, where the password is
   * known, once more with a login of now.
   */
  const authorized = (work: (accessToken: string) => Promise<void>, password?: string): Promise<void> => {
    const attempt = async () => {
      const access = await renewal.access()
      if (!access) throw new SignetClientError('signed_out')
      await work(access.token)
    }
    const again = async (error: SignetClientError) => {
      if (wantsRefresh(error.code)) await renewal.refresh()
      else if (password && error.code === STEP_UP) await reauthenticate(password)
      else throw error
      await attempt()
    }
    return attempt().catch(again).catch(again)
  }

  const logout = (scope: LogoutScope = 'session'): Promise<void> =>
    tabs.exclusive(async () => {
      if (held.isOver()) return
      let answer = held.isUsable() ? await post('/v1/logout', { scope }, held.current()?.token) : undefined
      if (!answer || answer.status === 401) {
        // By the cookie, or by the refresh token.
        const stored = await store?.load()
        answer = await post('/v1/logout', { scope, refresh_token: stored?.refreshToken })
      }
      const wasOver = answer.code === 'invalid_refresh_token'
      if (!wasOver) await demand(204, answer)
      if (wasOver || scope !== 'others') await renewal.end('logout')
      if (wasOver && scope !== 'session') throw new SignetClientError('signed_out')
    })
  const reauthenticate = (password: string): Promise<void> =>
    authorized((token) => obtain('/v1/reauthenticate', { password }, token))

  return {
    login,
    async register({ email, password }: Credentials): Promise<'signed-in' | 'confirm-email'> {
      const answer = await post('/v1/accounts', { email, password })
      if (answer.status === 202) return 'confirm-email'
      await demand(201, answer)
      await login({ email, password })
      return 'signed-in'
    },
    recover: (email: string): Promise<void> => demand(202, post('/v1/recovery', { email })),
    confirmRecovery: ({ newPassword, ...proof }: Proof & { readonly newPassword: string }): Promise<void> =>
      demand(204, post('/v1/recovery/confirm', { ...proof, new_password: newPassword })),
    confirmEmail: (proof: Proof): Promise<void> => demand(204, post('/v1/email/confirm', proof)),
    changeEmail: ({ newEmail, password }: EmailChange): Promise<void> =>
      authorized(
        (token) => demand(202, post('/v1/me/email', { new_email: newEmail, password }, token, 'PUT')),
        password,
      ),
    notMe: (token: string): Promise<void> => demand(204, post('/v1/notices/revoke', { token })),
    logout,
    reauthenticate,
  }
}
