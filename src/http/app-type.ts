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
    /** A rate limit, and refusal under load: for routes that issue. Absent means neither. */
    limit?: RouteLimit
    /** Codes this route answers with, beyond those every route of its kind can (documented in /openapi.json). */
    errors?: readonly ErrorCode[]
    /** The same for a route of `/oauth/*`, in the words of RFC 6749; what those have in common need not be said. */
    oauthErrors?: readonly OAuthErrorCode[]
  }
}
