import { Type } from '@sinclair/typebox'

const count = (maximum: number, standard: number, description: string) =>
  Type.Integer({ minimum: 0, maximum, default: standard, description })
const perMinute = (standard: number, description: string) => count(1_000_000, standard, description)

/** Settings of rate limits and of load; `settings.ts` includes them in the one table. */
export const limitSettings = {
  RATE_LIMIT_LOGIN: perMinute(
    60,
    'Logins per minute and client network (one IPv4 address or IPv6 /64); 0 = off, as for every limit',
  ),
  LOGIN_FREE_FAILURES: count(
    50,
    5,
    'Wrong passwords in a row for one account from one network before delays of 1, 2, 4, … s begin, 0..50',
  ),
  LOGIN_MAX_DELAY: Type.Integer({
    minimum: 1,
    maximum: 86_400,
    default: 3600,
    description: 'Those delays grow to so much, 1..86400 s',
  }),
  LOGIN_FAILURES_PER_ACCOUNT: count(
    10_000,
    30,
    'Wrong passwords per day for one account from networks where nobody of it is logged in',
  ),
  LOGIN_FAILURES_PER_NETWORK: count(100_000, 100, 'The same per hour from one network, for all accounts'),
  LOGIN_FAILURES_IN_ALL: count(
    1_000_000,
    0,
    'The same per hour for all accounts and networks together; for the hour of an attack',
  ),
  RATE_LIMIT_REGISTER: perMinute(20, 'Registrations per minute and client network'),
  RATE_LIMIT_REGISTER_PER_EMAIL: perMinute(5, 'Registrations per minute of one email'),
  RATE_LIMIT_REFRESH: perMinute(600, 'Refreshes per minute and client network'),
  RATE_LIMIT_REFRESH_PER_SESSION: perMinute(60, 'Refreshes per minute of one session'),
  RATE_LIMIT_PASSWORD_CHANGE: perMinute(10, 'Password changes per minute of one account'),
  RATE_LIMIT_TOKEN: perMinute(600, 'Calls of `/oauth/token` per minute and client network'),
  RATE_LIMIT_TOKEN_PER_CLIENT: perMinute(300, 'Calls of `/oauth/token` per minute of one client'),
  RATE_LIMIT_INTROSPECT: perMinute(6000, 'Calls of `/oauth/introspect` per minute and client network'),
  LOAD_MAX_EVENT_LOOP_DELAY: count(
    10_000,
    250,
    'Event-loop delay in ms above which issuing answers 503 while verifying goes on',
  ),
  LOAD_MAX_STORE_QUEUE: count(10_000, 500, 'Calls waiting for the store above which issuing answers 503'),
  MAX_CONNECTIONS: count(1_000_000, 20_000, 'Connections at a time; further ones are closed at once'),
}
