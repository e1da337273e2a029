import type { Config } from '../config/config.ts'

type LinkSettings = Pick<Config, 'APP_URL' | 'LINK_RECOVER' | 'LINK_CONFIRM_EMAIL' | 'LINK_NOT_ME'>

/**
 * The links in messages. They lead to pages of the application, with the token in the fragment: no server log, no
 * `Referer` and no mail scanner's request carries it.
 */
export interface Links {
  recover(token: string): string
  confirmEmail(token: string): string
  notMe(token: string): string
}

export function createLinks({ APP_URL, LINK_RECOVER, LINK_CONFIRM_EMAIL, LINK_NOT_ME }: LinkSettings): Links {
  const link = (pattern: string) => (token: string) => {
    const whole = pattern.startsWith('/') ? `${APP_URL.replace(/\/$/, '')}${pattern}` : pattern
    return whole.replace('{token}', () => token)
  }
  return { recover: link(LINK_RECOVER), confirmEmail: link(LINK_CONFIRM_EMAIL), notMe: link(LINK_NOT_ME) }
}
