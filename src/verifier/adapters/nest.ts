import type { AccessTokenClaims } from '../../tokens/claims.ts'
import type { RequestHeaders } from '../../tokens/credential.ts'
import { toResponse } from '../to-response.ts'
import type { Authenticator } from './authenticator.ts'
import { demandsOf, type NestCall } from './nest-demands.ts'

export { type NestDecorator, Public, Requires } from './nest-demands.ts'

/** The part of Nest's `ExecutionContext` that is used, without the need for its types. */
export interface NestContext extends NestCall {
  getType(): string
  switchToHttp(): { getRequest(): unknown; getResponse(): unknown }
}

/** `HttpException` of `@nestjs/common`. */
export type NestHttpException = new (body: object, status: number, options?: { cause?: unknown }) => Error

/**
 * A guard class, for `{ provide: APP_GUARD, useClass: signetNest(verifier, HttpException) }`: every route of the app
 * needs a good token unless it is `@Public()`. `request.user` holds the claims of the caller, frozen.
 *
 * @param HttpException that of `@nestjs/common`. A refusal is thrown as one, so that your exception filters see it
 * @param requestOf the request of a call that is not HTTP, for example of GraphQL. Without it such a call fails
 */
export function signetNest(
  verifier: Authenticator,
  HttpException: NestHttpException,
  requestOf: (context: NestContext) => unknown = httpRequest,
): new () => { canActivate(context: NestContext): Promise<boolean> } {
  return class SignetGuard {
    async canActivate(context: NestContext): Promise<boolean> {
      const demanded = demandsOf(context)
      if (demanded === 'public') return true
      const request = requestOf(context) as RequestHeaders & { raw?: RequestHeaders }
      try {
        let user: AccessTokenClaims | undefined
        // Where Nest runs on Fastify, only `raw` has every header line.
        for (const demands of demanded) user = await verifier.authenticate(request.raw ?? request, demands)
        Object.assign(request, { user })
        return true
      } catch (error) {
        const { status, headers, body } = toResponse(error)
        if (context.getType() === 'http') {
          const response = context.switchToHttp().getResponse() as { header(name: string, value: string): unknown }
          for (const [name, value] of Object.entries(headers)) response.header(name, value)
        }
        throw new HttpException(JSON.parse(body), status, { cause: error })
      }
    }
  }
}

function httpRequest(context: NestContext): unknown {
  if (context.getType() === 'http') return context.switchToHttp().getRequest()
  throw new TypeError(`signet: a call of type ${context.getType()} needs the option requestOf`)
}
