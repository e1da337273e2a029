import { Type } from '@sinclair/typebox'

/** The description ends with the range, so that it is written once. */
const count = (maximum: number, standard: number, description: string, unit = '', zero = 'no limit') => {
  const range = `0..${maximum}${unit}; 0 = ${zero}`
  return Type.Integer({ minimum: 0, maximum, default: standard, description: `${description}, ${range}` })
}
const perMinute = (standard: number, description: string) => count(1_000_000, standard, description)

/** Settings of rate limits and of load; `settings.ts` includes them in the one table. */
export const limitSettings = {
  RATE_LIMIT_LOGIN: perMinute(60, 'Logins per minute from one client network (one IPv4 address or IPv6 /64)'),
  LOGIN_FREE_FAILURES: count(
    50,
    5,
    'Wrong passwords in a row for one account from one network before each further try waits 1, 2, 4, … s',
    '',
    'no delays',
  ),
  LOGIN_MAX_DELAY: Type.Integer({
    minimum: 1,
    maximum: 86_400,
    default: 3600,
    description: 'Longest delay after wrong passwords in a row for one account from one network, 1..86400 s',
  }),
  LOGIN_FAILURES_PER_ACCOUNT: count(
    10_000,
    30,
    'Wrong passwords per day for one account from networks where that account is not logged in',
  ),
  LOGIN_FAILURES_PER_NETWORK: count(
    100_000,
    100,
    'Wrong passwords per hour from one network for all accounts that are not logged in there',
  ),
  LOGIN_FAILURES_IN_ALL: count(
    1_000_000,
    0,
    'Wrong passwords per hour in all, from networks where the account is not logged in (set it only during an attack)',
  ),
  RATE_LIMIT_REGISTER: perMinute(20, 'Registrations per minute from one client network'),
  RATE_LIMIT_REGISTER_PER_EMAIL: perMinute(5, 'Registrations per minute with one email'),
  RATE_LIMIT_REFRESH: perMinute(600, 'Refreshes per minute from one client network'),
  RATE_LIMIT_REFRESH_PER_SESSION: perMinute(60, 'Refreshes per minute of one session'),
  RATE_LIMIT_PASSWORD_CHANGE: perMinute(10, 'Password changes and confirmations per minute of one session'),
  RATE_LIMIT_PASSWORD_CHANGE_PER_NETWORK: perMinute(
    60,
    'Password changes and confirmations per minute from one client network',
  ),
  RATE_LIMIT_RECOVERY: perMinute(20, 'Requests for a recovery per minute from one client network'),
  RATE_LIMIT_CONFIRM: perMinute(20, 'Links and codes out of messages per minute from one client network'),
  RATE_LIMIT_MESSAGES_PER_EMAIL: count(
    1_000_000,
    5,
    'Messages per hour to one address that anybody can cause: recovery, registration, change of address',
  ),
  RATE_LIMIT_STORE: perMinute(
    600,
    'Calls per minute from one client network that ask the database: sessions, logout, administration, `live` routes',
  ),
  RATE_LIMIT_TOKEN: perMinute(600, 'Calls of `/oauth/token` per minute from one client network'),
  RATE_LIMIT_TOKEN_PER_CLIENT: perMinute(300, 'Calls of `/oauth/token` per minute by one OAuth client'),
  RATE_LIMIT_INTROSPECT: perMinute(6000, 'Calls of `/oauth/introspect` per minute from one client network'),
  LOAD_MAX_EVENT_LOOP_DELAY: count(
    10_000,
    250,
    'Delay of the event loop above which routes that issue tokens answer 503',
    ' ms',
  ),
  LOAD_MAX_STORE_QUEUE: count(
    10_000,
    500,
    'Calls waiting for the database above which routes that issue tokens answer 503',
  ),
  MAX_CONNECTIONS: count(1_000_000, 20_000, 'Client connections at a time; further ones are closed at once'),
}
