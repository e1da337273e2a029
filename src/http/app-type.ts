/**
 * HTTP without a subject: server options, headers, limits, errors, health, the OpenAPI document, and small helpers for
 * routes. A route about accounts, sessions, keys or clients belongs to the folder of that subject.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { ErrorCode } from '../errors/app-error.ts'
import type { OAuthErrorCode } from '../errors/oauth-error.ts'
import type { RouteLimit } from '../limits/limiter.ts'

/** The Fastify instance of this project: schemas give the types of requests and replies. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * The quota of this route. Routes that issue tokens or hash passwords are also refused under load; `store` is for
     * those that only ask the database. Default: neither.
     */
    limit?: RouteLimit
    /** Codes this route may answer with, beyond those that every route of its kind can (for /openapi.json). */
    errors?: readonly ErrorCode[]
    /** The same for a route of `/oauth/*`: codes of RFC 6749, beyond those that every OAuth route can answer with. */
    oauthErrors?: readonly OAuthErrorCode[]
  }
}

/**
 * What the `config` of a route may hold beside the demands of the guard: the names above, and what Fastify (`url`,
 * `method`) and its plugins for CORS, rate limits and traces read or set. A plugin with a name of its own needs an
 * entry.
 */
export const ROUTE_CONFIG_NAMES: readonly string[] = [
  'cors',
  'errors',
  'oauthErrors',
  'url',
  'method',
  'rateLimit',
  'otel',
]
