import { Type } from '@sinclair/typebox'
import type { App } from '../http/app-type.ts'
import { isGone, requestSource } from '../http/request-source.ts'
import { Accepted } from '../http/schemas.ts'
import type { ChangeEmail } from './change-email.ts'
import type { ConfirmEmail } from './confirm-email.ts'
import { ProofMembers, proofOf } from './proof.ts'

const Proof = Type.Object(ProofMembers, {
  additionalProperties: false,
  examples: [{ email: 'ada@example.com', code: 'K7QX-29MD' }],
})

const Change = Type.Object(
  {
    new_email: Type.String({ minLength: 3, maxLength: 320 }),
    password: Type.String({ minLength: 1, maxLength: 4096 }),
  },
  {
    additionalProperties: false,
    examples: [{ new_email: 'ada@example.org', password: 'correct horse battery staple' }],
  },
)

/** An address can be changed only this soon after a login (RFC 9470). */
const RECENT_LOGIN_SECONDS = 300

/** `POST /v1/email/confirm`, `PUT /v1/me/email`: the address of an account. */
export function emailRoutes(app: App, parts: { confirmEmail: ConfirmEmail; changeEmail: ChangeEmail }): void {
  app.post(
    '/v1/email/confirm',
    {
      config: { auth: 'public', limit: 'confirm', errors: ['invalid_recovery_token', 'store_unavailable'] },
      schema: { tags: ['Recovery'], summary: 'Confirm an address', body: Proof, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      const language = request.headers['accept-language']
      await parts.confirmEmail(proofOf(request.body), requestSource(request), language)
      return reply.code(204).send(null)
    },
  )
  app.put(
    '/v1/me/email',
    {
      config: { auth: 'live', limit: 'password', maxAuthAge: RECENT_LOGIN_SECONDS, errors: ['invalid_credentials'] },
      schema: {
        tags: ['Accounts'],
        summary: 'Change my address; the new one has to confirm',
        body: Change,
        response: { 202: Accepted },
      },
    },
    async (request, reply) => {
      const { sub: accountId, sid: sessionId } = request.user
      const { new_email: email, password } = request.body
      const how = { language: request.headers['accept-language'], isGone: isGone(request) }
      await parts.changeEmail({ accountId, sessionId }, { email, password }, requestSource(request), how)
      return reply.code(202).send({})
    },
  )
}
