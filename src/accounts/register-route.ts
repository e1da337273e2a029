import { Type } from '@sinclair/typebox'
import { toTimestamp } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import type { App } from '../http/app-type.ts'
import { isGone, requestSource } from '../http/request-source.ts'
import { AccountReply } from './account.ts'
import type { Register } from './register.ts'

const Body = Type.Object(
  {
    email: Type.String({ minLength: 3, maxLength: 320 }),
    password: Type.String({
      minLength: 1,
      maxLength: 4096,
      description: 'any characters, normalised with NFKC; a refusal says why',
    }),
  },
  {
    additionalProperties: false,
    examples: [{ email: 'ada@example.com', password: 'correct horse battery staple' }],
  },
)

/** `POST /v1/accounts`: registration. */
export function registerRoute(app: App, parts: { register: Register; open: boolean }): void {
  app.post(
    '/v1/accounts',
    {
      config: {
        auth: 'public',
        limit: 'register',
        errors: ['email_taken', 'password_unacceptable', 'registration_closed', 'store_unavailable'],
      },
      schema: { tags: ['Accounts'], summary: 'Register', body: Body, response: { 201: AccountReply } },
    },
    async (request, reply) => {
      if (!parts.open) throw new AppError('registration_closed')
      const { id, email, roles, createdAt } = await parts.register({
        ...request.body,
        source: requestSource(request),
        isGone: isGone(request),
      })
      return reply.code(201).send({ id, email, roles: [...roles], created_at: toTimestamp(createdAt) })
    },
  )
}
