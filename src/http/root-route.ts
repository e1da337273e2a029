import { Type } from '@sinclair/typebox'
import { ANY_ORIGIN } from './any-origin.ts'
import type { App } from './app-type.ts'

const Root = Type.Object(
  {
    issuer: Type.String(),
    metadata: Type.String({ description: 'URL of the OAuth server metadata, RFC 8414' }),
    openapi: Type.String({ description: 'URL of the OpenAPI document' }),
    docs: Type.Optional(Type.String({ description: 'URL of the interactive page; absent with `DOCS=off`' })),
  },
  { $id: 'Root', description: 'Where to go on' },
)

/** `GET /`: where the documents of this server are, for somebody who has only its address. */
export function rootRoute(app: App, { issuer, docs }: { issuer: string; docs: boolean }): void {
  const root = {
    issuer,
    metadata: `${issuer}/.well-known/oauth-authorization-server`,
    openapi: `${issuer}/openapi.json`,
    ...(docs && { docs: `${issuer}/docs` }),
  }
  app.get(
    '/',
    {
      config: { auth: 'public', cors: false },
      schema: { tags: ['Integrators'], summary: 'Where the docs and the metadata are', response: { 200: Root } },
    },
    (_request, reply) => {
      reply.headers(ANY_ORIGIN)
      return root
    },
  )
}
