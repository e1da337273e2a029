import { Type } from '@sinclair/typebox'
import { toTimestamp } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import type { App } from '../http/app-type.ts'
import { isGone, requestSource } from '../http/request-source.ts'
import { Accepted } from '../http/schemas.ts'
import { AccountReply, Locale } from './account.ts'
import type { Register } from './register.ts'

const Body = Type.Object(
  {
    email: Type.String({ minLength: 3, maxLength: 320 }),
    password: Type.String({
      minLength: 1,
      maxLength: 4096,
      description: 'any characters, normalised with NFKC; a refusal says why',
    }),
    locale: Type.Optional(Locale),
  },
  {
    additionalProperties: false,
    examples: [{ email: 'ada@example.com', password: 'correct horse battery staple' }],
  },
)

type RegisterVerified = (input: Parameters<Register>[0], language?: string) => Promise<void>

/**
 * `POST /v1/accounts`: registration.
 *
 * @param parts.verified registers accounts that work once their address is confirmed. The answer is then the same for
 *   every address. Undefined: they work at once
 */
export function registerRoute(
  app: App,
  parts: { register: Register; verified: RegisterVerified | undefined; open: boolean },
): void {
  const { verified } = parts
  app.post(
    '/v1/accounts',
    {
      config: {
        auth: 'public',
        limit: 'register',
        errors: [
          ...(verified === undefined ? (['email_taken'] as const) : []),
          'password_unacceptable',
          'registration_closed',
          'store_unavailable',
        ],
      },
      schema: {
        tags: ['Accounts'],
        summary: 'Register',
        body: Body,
        response: verified === undefined ? { 201: AccountReply } : { 202: Accepted },
      },
    },
    async (request, reply) => {
      if (!parts.open) throw new AppError('registration_closed')
      const input = { ...request.body, source: requestSource(request), isGone: isGone(request) }
      if (verified !== undefined) {
        await verified(input, request.headers['accept-language'])
        return reply.code(202).send({})
      }
      const { id, email, roles, createdAt } = await parts.register(input)
      return reply.code(201).send({ id, email, roles: [...roles], created_at: toTimestamp(createdAt) })
    },
  )
}
