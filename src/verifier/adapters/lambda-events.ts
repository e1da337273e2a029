/** What is read of the event: of a TOKEN or REQUEST authorizer of a REST API, or of an HTTP API in either format. */
export interface AuthorizerEvent {
  readonly type: string
  readonly authorizationToken?: string | null | undefined
  readonly headers?: object | null | undefined
  readonly multiValueHeaders?: object | null | undefined
  readonly methodArn?: string | undefined
  readonly routeArn?: string | undefined
}

/** Scalars, because API Gateway takes no others: lists and objects are JSON text. */
export type AuthorizerContext = Record<string, string | number | boolean>

/** The simple response of an HTTP API. */
export interface SimpleAnswer {
  isAuthorized: boolean
  context: AuthorizerContext
}

/** The response of a REST API, and of an HTTP API without simple responses. */
export interface PolicyAnswer {
  principalId: string
  policyDocument: {
    Version: string
    Statement: { Action: 'execute-api:Invoke'; Effect: 'Allow' | 'Deny'; Resource: string }[]
  }
  context: AuthorizerContext
}

export interface LambdaAuthorizer {
  /** For an HTTP API with simple responses. */
  readonly simple: (event: AuthorizerEvent) => Promise<SimpleAnswer>
  /** For a REST API, and for an HTTP API with policies. */
  readonly policy: (event: AuthorizerEvent) => Promise<PolicyAnswer>
}

/** `headers` has only the last of several lines of one name, so `multiValueHeaders` goes first. */
export function requestOf(event: AuthorizerEvent): { headers: object } {
  const { type, authorizationToken, headers, multiValueHeaders } = event
  if (type === 'TOKEN') return { headers: { authorization: authorizationToken ?? undefined } }
  return { headers: multiValueHeaders ?? headers ?? {} }
}

/** Claims as the context of an answer. */
export function asContext(claims: object): AuthorizerContext {
  const entries: [string, unknown][] = Object.entries(claims).filter(([, value]) => value !== null)
  const texts = entries.map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : value])
  return Object.fromEntries(texts)
}
