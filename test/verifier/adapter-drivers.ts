import type { Authenticator } from '../../src/verifier/adapters/authenticator.ts'
import { signetExpress } from '../../src/verifier/adapters/express.ts'
import { signetHono } from '../../src/verifier/adapters/hono.ts'
import { signetHttp } from '../../src/verifier/adapters/http.ts'
import { type AuthorizerEvent, type LambdaAuthorizer, signetLambda } from '../../src/verifier/adapters/lambda.ts'
import { type NestContext, Requires, signetNest } from '../../src/verifier/adapters/nest.ts'
import { signetNext } from '../../src/verifier/adapters/next.ts'
import type { AccessTokenClaims, Demands } from '../../src/verifier/index.ts'

// Each adapter with the least of its framework: what goes in and what comes out, as the framework has it.

/** What a caller sees, and what the handler was given. */
export interface Outcome {
  readonly status: number
  /** Of the problem document; undefined where the platform writes the body. */
  readonly code?: string | undefined
  readonly challenge?: string | null | undefined
  readonly body?: string | undefined
  /** What the handler was told of its caller; undefined when it did not run. */
  readonly user?: unknown
}

/** A verifier that takes everything, and keeps what it was asked. */
export function recording(claims = { sub: 'somebody' } as AccessTokenClaims) {
  const calls: { demands: unknown; options: { waitUntil?: (work: Promise<unknown>) => void } | undefined }[] = []
  return {
    calls,
    async authenticate(_: object, demands?: unknown, options?: (typeof calls)[number]['options']) {
      calls.push({ demands, options })
      return claims
    },
  }
}

/** Makes the guard, and returns a function that asks it with these Authorization lines. */
export type Driver = (verifier: Authenticator, demands?: Demands) => (lines: readonly string[]) => Promise<Outcome>

/** A client that says who it is in every way that somebody could fall for. */
const MALLORY = { user: 'mallory', 'x-user': 'mallory', 'x-user-id': 'mallory', 'x-middleware-subrequest': 'proxy' }

const answered = (status: number, headers: Headers, body: string): Outcome => ({
  status,
  code: JSON.parse(body || '{}').code,
  challenge: headers.get('www-authenticate'),
  body,
})

function nodeRequest(lines: readonly string[]) {
  const [authorization] = lines
  const rawHeaders = [...Object.entries(MALLORY), ...lines.map((line) => ['Authorization', line])].flat()
  return { rawHeaders, headers: { ...MALLORY, authorization }, user: undefined as unknown }
}

function nodeResponse() {
  const response = {
    headersSent: false,
    outcome: { status: 0 } as Outcome,
    writeHead(status: number, headers: Record<string, string>) {
      response.headersSent = true
      return {
        end(body: string) {
          response.outcome = answered(status, new Headers(headers), body)
        },
      }
    },
  }
  return response
}

function fetchRequest(lines: readonly string[]): Request {
  const headers = new Headers(MALLORY)
  for (const line of lines) headers.append('authorization', line)
  return new Request('https://service.example/me', { headers })
}

const fetched = async (response: Response) => answered(response.status, response.headers, await response.text())

export const express: Driver = (verifier, demands) => {
  const guard = signetExpress(verifier, demands)
  return async (lines) => {
    const [req, res] = [nodeRequest(lines), nodeResponse()]
    await guard(req, res, () => {
      res.outcome = { status: 200, user: req.user }
    })
    return res.outcome
  }
}

export const http: Driver = (verifier, demands) => async (lines) => {
  const [req, res] = [nodeRequest(lines), nodeResponse()]
  const handler = (given: { user: unknown }) => {
    res.outcome = { status: 200, user: given.user }
  }
  await signetHttp<typeof req, typeof res>(verifier, handler, demands)(req, res)
  return res.outcome
}

/** @param executionCtx undefined: the runtime has none, and the getter throws */
export function hono(executionCtx?: { waitUntil(work: Promise<unknown>): void }): Driver {
  return (verifier, demands) => {
    const guard = signetHono(verifier, demands)
    return async (lines) => {
      const variables = new Map<string, unknown>()
      const c = {
        req: { raw: fetchRequest(lines) },
        get executionCtx() {
          if (executionCtx === undefined) throw new Error('This context has no ExecutionContext')
          return executionCtx
        },
        set: (name: string, value: unknown) => void variables.set(name, value),
      }
      let outcome: Outcome = { status: 0 }
      const refusal = await guard(c, async () => {
        outcome = { status: 200, user: variables.get('user') }
      })
      return refusal === undefined ? outcome : fetched(refusal)
    }
  }
}

const CONTEXT = { params: Promise.resolve({ id: '1' }) }

export const nextRoute: Driver = (verifier, demands) => async (lines) => {
  let user: unknown
  const handler = signetNext(verifier, demands).route((_, given) => {
    user = given.user
    return Response.json({})
  })
  return { ...(await fetched(await handler(fetchRequest(lines), CONTEXT))), user }
}

export const nextProxy: Driver = (verifier, demands) => async (lines) => {
  const response = await signetNext(verifier, demands).proxy(fetchRequest(lines))
  return response === undefined ? { status: 200 } : fetched(response)
}

export class HttpException extends Error {
  readonly body: object
  readonly status: number
  constructor(body: object, status: number, options?: { cause?: unknown }) {
    super('an exception of Nest', options)
    this.body = body
    this.status = status
  }
}

interface NestParts {
  readonly controller: new () => object
  readonly handler: unknown
  readonly type?: string
  readonly args: [request: unknown, response: unknown]
}

export const nestContext = ({ controller, handler, type = 'http', args }: NestParts): NestContext => ({
  getClass: () => controller,
  getHandler: () => handler,
  getType: () => type,
  switchToHttp: () => ({ getRequest: () => args[0], getResponse: () => args[1] }),
})

/** Nest on Express, whose request is the one of `node:http`; on Fastify that one is `raw` of another object. */
export function nest(isFastify: boolean): Driver {
  return (verifier, demands) => {
    class Controller {
      method() {}
    }
    if (demands !== undefined) Requires(demands)(Controller.prototype, 'method')
    const guard = new (signetNest(verifier, HttpException))()
    return async (lines) => {
      const raw = nodeRequest(lines)
      const request = isFastify ? { raw, headers: raw.headers, user: null as unknown } : raw
      const headers = new Headers()
      const response = { header: (name: string, value: string) => headers.set(name, value) }
      const args: [unknown, unknown] = [request, response]
      const context = nestContext({ controller: Controller, handler: Controller.prototype.method, args })
      try {
        await guard.canActivate(context)
        return { status: 200, user: request.user }
      } catch (error) {
        if (!(error instanceof HttpException)) throw error
        return answered(error.status, headers, JSON.stringify(error.body))
      }
    }
  }
}

export const ARN = 'arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/prod/GET/me'

/** The events of API Gateway, as its manual prints them. `multiValueHeaders` is left out of format 2.0. */
export const EVENTS = {
  token: (lines: readonly string[]) => ({ type: 'TOKEN', authorizationToken: lines.join(','), methodArn: ARN }),
  rest: (lines: readonly string[]) => ({
    type: 'REQUEST',
    methodArn: ARN,
    headers: { ...MALLORY, ...(lines.length > 0 && { AUTHORIZATION: lines.at(-1) }) },
    multiValueHeaders: { 'X-User': ['mallory'], ...(lines.length > 0 && { AUTHORIZATION: lines }) },
  }),
  http: (lines: readonly string[]) => ({
    version: '2.0',
    type: 'REQUEST',
    routeArn: ARN,
    identitySource: lines,
    headers: { ...MALLORY, ...(lines.length > 0 && { authorization: lines.join(',') }) },
  }),
} satisfies Record<string, (lines: readonly string[]) => AuthorizerEvent>

/** What API Gateway makes of an answer of the authorizer. */
export function lambda(format: 'simple' | 'policy', event: keyof typeof EVENTS): Driver {
  return (verifier, demands) => {
    const authorizer: LambdaAuthorizer = signetLambda(verifier, demands)
    return async (lines) => {
      try {
        const answer = await authorizer[format](EVENTS[event](lines))
        const isIn =
          'policyDocument' in answer
            ? answer.policyDocument.Statement.some(({ Effect, Resource }) => Effect === 'Allow' && Resource === ARN)
            : answer.isAuthorized
        const { code, challenge } = answer.context
        if (!isIn) return { status: 403, code: String(code), challenge: String(challenge) }
        return { status: 200, user: answer.context }
      } catch (error) {
        return { status: (error as Error).message === 'Unauthorized' ? 401 : 500 }
      }
    }
  }
}

/** The claims of a Lambda context, as the function behind it reads them. */
export function readBack(context: unknown): AccessTokenClaims {
  const parsed = Object.entries(context as object).map(([name, value]) => [
    name,
    typeof value === 'string' && /^[[{]/.test(value) ? JSON.parse(value) : value,
  ])
  return Object.fromEntries(parsed)
}
