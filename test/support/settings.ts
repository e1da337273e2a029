import { Settings } from '../../src/config/settings.ts'

export const PASSWORD = 'correct horse battery staple'

/**
 * Settings without limits and chance, for tests of other things: they come from one address, and much faster than
 * people do.
 */
export const UNLIMITED: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    Object.keys(Settings.properties)
      .filter((name) => /^(RATE_LIMIT_|LOGIN_FAILURES_|LOAD_)/.test(name))
      .map((name) => [name, '0']),
  ),
  LOGIN_FREE_FAILURES: '0',
  ACCESS_TOKEN_TTL_SPREAD: '0',
}
