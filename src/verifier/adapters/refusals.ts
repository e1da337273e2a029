import { toResponse } from '../to-response.ts'

/** The response of `node:http`, or of a framework on it. */
export interface NodeResponse {
  readonly headersSent: boolean
  writeHead(status: number, headers: Record<string, string>): { end(body: string): unknown }
}

/** Answers a refused request of `node:http`. */
export function refuse(response: NodeResponse, error: unknown): void {
  if (response.headersSent) return // somebody else answered while the token waited, for example a time limit
  const { status, headers, body } = toResponse(error)
  response.writeHead(status, { ...headers }).end(body)
}

/** The answer to a refused Fetch request. */
export function refusal(error: unknown): Response {
  const { status, headers, body } = toResponse(error)
  return new Response(body, { status, headers })
}
