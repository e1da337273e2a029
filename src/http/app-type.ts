import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { ErrorCode } from '../errors.ts'
import type { RouteAuth } from '../tokens/authenticate.ts'

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
    /** Absent means `token`: a route is open only when it says `public`. */
    auth?: RouteAuth
    /** Any one of these roles; else 403. */
    roles?: readonly string[]
    /** All of these scopes; else 403. */
    scope?: readonly string[]
    /** Seconds since the login at the most; else 401 with RFC 9470's `insufficient_user_authentication`. */
    maxAuthAge?: number
    /** Codes this route answers with, beyond those every route of its kind can (documented in /openapi.json). */
    errors?: readonly ErrorCode[]
  }
}
