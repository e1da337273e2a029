import { Type } from '@sinclair/typebox'
import type { App } from '../http/app-type.ts'
import { isGone, requestSource } from '../http/request-source.ts'
import { Accepted } from '../http/schemas.ts'
import { ProofMembers, proofOf } from './proof.ts'
import type { Recover } from './recover.ts'

const Request = Type.Object(
  { email: Type.String({ minLength: 3, maxLength: 320 }) },
  { additionalProperties: false, examples: [{ email: 'ada@example.com' }] },
)

const Confirmation = Type.Object(
  { ...ProofMembers, new_password: Type.String({ minLength: 1, maxLength: 4096 }) },
  {
    additionalProperties: false,
    examples: [
      { email: 'ada@example.com', code: 'K7QX-29MD', new_password: 'a longer horse and a second battery staple' },
    ],
  },
)

/** `POST /v1/recovery`, `POST /v1/recovery/confirm`: a new password for whoever forgot the old one, or was invited. */
export function recoveryRoutes(app: App, { recover }: { recover: Recover }): void {
  const tags = ['Recovery']
  app.post(
    '/v1/recovery',
    {
      config: { auth: 'public', limit: 'recovery', errors: ['store_unavailable'] },
      schema: {
        tags,
        summary: 'Ask for a message to set a new password',
        body: Request,
        response: { 202: Accepted },
      },
    },
    async (request, reply) => {
      await recover.request(request.body.email, requestSource(request), request.headers['accept-language'])
      return reply.code(202).send({})
    },
  )
  app.post(
    '/v1/recovery/confirm',
    {
      config: {
        auth: 'public',
        limit: 'confirm',
        errors: ['invalid_recovery_token', 'password_unacceptable', 'store_unavailable'],
      },
      schema: {
        tags,
        summary: 'Set a new password with a message; every session ends',
        body: Confirmation,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { new_password: password, ...proof } = request.body
      await recover.confirm(proofOf(proof), password, requestSource(request), isGone(request))
      return reply.code(204).send(null)
    },
  )
}
