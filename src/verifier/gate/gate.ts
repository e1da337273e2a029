/**
 * `signet-gate`: a small server beside a gateway, which asks it about each request ("forward auth"). It lets the token
 * of the Authorization header be judged by the guard that all of Signet's users have, and answers who the caller is.
 */

import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import { toResponse, type Verifier } from '../exports.ts'
import { BadDemand, rememberedDemands } from './demands.ts'
import { GateHealth } from './health.ts'
import { type IdentityHeaders, identityOf } from './identity.ts'

export interface Gate {
  readonly listener: RequestListener
  readonly health: GateHealth
  /** How often each status was answered to a gateway. */
  readonly answers: ReadonlyMap<number, number>
}

/** @param report told of a demand that can't be meant: the one who set up the gateway has to see it */
export function createGate(verifier: Verifier, report: (message: string) => void): Gate {
  const health = new GateHealth(verifier)
  const answers = new Map<number, number>()
  const demandsOf = rememberedDemands()
  const identities = new WeakMap<AccessTokenClaims, IdentityHeaders>() // claims of a seen token are one object

  const admit = (reply: ServerResponse, claims: AccessTokenClaims) => {
    const known = identities.get(claims)
    const identity = known ?? identityOf(claims)
    if (known === undefined) identities.set(claims, identity)
    reply.writeHead(200, { ...identity, 'cache-control': 'no-store', 'content-length': '0' }).end()
  }
  const judge = async (request: IncomingMessage, reply: ServerResponse, query: string) => {
    try {
      const claims = await verifier.authenticate(request, demandsOf(query))
      admit(reply, claims)
    } catch (error) {
      if (error instanceof BadDemand) report(`a gateway asks for what can't be meant: ${error.message}`)
      const { status, headers, body } = toResponse(error)
      // With a length, which the simplest client of a gateway can read.
      reply.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body)
    }
    answers.set(reply.statusCode, (answers.get(reply.statusCode) ?? 0) + 1)
  }
  return {
    health,
    answers,
    listener(request, reply) {
      const { url = '/' } = request
      if (url === '/health/live' || url === '/health/ready') return health.answer(url, reply)
      const mark = url.indexOf('?')
      void judge(request, reply, mark === -1 ? '' : url.slice(mark + 1))
    },
  }
}
