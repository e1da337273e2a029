import { Value } from '@sinclair/typebox/value'
import type { RouteOptions } from 'fastify'
import t from 'tap'
import { ERRORS, errorRow } from '../../src/errors/app-error.ts'
import { startApp } from '../support/app.ts'

// What a reader of /openapi.json, of the page and of generated clients gets besides the shapes.

interface Operation {
  operationId: string
  description: string
  parameters?: { name: string; description?: string }[]
  requestBody?: { content: Record<string, { example?: unknown; schema: { anyOf?: { examples?: unknown[] }[] } }> }
  responses: Record<string, { content?: Record<string, { examples?: Record<string, { $ref: string }> }> }>
}

const routes: RouteOptions[] = []
const { app } = await startApp(t, { onRoute: (route) => void routes.push(route) })
const document = (await app.inject('/openapi.json')).json()
const operations = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(
  ([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, path, method, ...operation })),
)

t.test('every operation has an id of its own, says who may call it, and describes its parameters', async (t) => {
  t.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length)
  const ids = Object.fromEntries(operations.map(({ name, operationId }) => [name, operationId]))
  t.match(ids, {
    'get /': 'getRoot',
    'post /v1/login': 'postLogin',
    'get /v1/admin/accounts': 'getAdminAccounts',
    'get /v1/admin/accounts/{id}': 'getAdminAccountsById',
    'post /v1/admin/clients/{id}/rotate-secret': 'postAdminClientsByIdRotateSecret',
    'get /.well-known/jwks.json': 'getJwksJson',
  })
  for (const { name, operationId, description, parameters = [] } of operations) {
    t.match(operationId, /^[a-z]+[A-Za-z0-9]+$/, name)
    t.match(description, /token|OAuth/, name)
    for (const parameter of parameters) t.ok(parameter.description, `${name}: ${parameter.name}`)
  }
  const described = Object.fromEntries(operations.map(({ name, description }) => [name, description]))
  t.equal(described['get /v1/me'], 'Needs an access token.')
  t.match(described['delete /v1/me'], /in the database.* at most 300 seconds ago/)
  t.match(described['patch /v1/admin/accounts/{id}'], /role `admin`/)
  t.match(described['post /v1/login'], /no token/)
})

t.test('every body has an example that the route takes', async (t) => {
  const bodies = operations.flatMap(({ requestBody, ...operation }) =>
    requestBody ? [{ ...operation, requestBody }] : [],
  )
  t.ok(bodies.length > 10)
  for (const { name, path, method, requestBody } of bodies) {
    const [media] = Object.values(requestBody.content)
    const example = media?.example ?? media?.schema.anyOf?.find(({ examples }) => examples)?.examples?.[0]
    t.ok(example, name)
    t.notMatch(JSON.stringify(example), /"string"/, name)
    const url = path.replace(/\{(\w+)\}/g, ':$1')
    const route = routes.find((route) => route.url === url && route.method === method.toUpperCase())
    t.same([...Value.Errors(route?.schema?.body as never, example)], [], name)
  }
})

t.test('every error has an example, which is the body as it is sent', async (t) => {
  const examples = document.components.examples as Record<string, { value: { status?: number; code?: string } }>
  const used = new Set<string>()
  for (const { name, responses } of operations)
    for (const [status, { content = {} }] of Object.entries(responses)) {
      if (Number(status) < 400 || name === 'get /health/ready') continue // a state, and no error
      const named = Object.values(content).flatMap((media) => Object.entries(media.examples ?? {}))
      t.ok(named.length > 0, `${name} ${status}`)
      for (const [code, { $ref }] of named) {
        const [, key = ''] = /^#\/components\/examples\/(\w+)$/.exec($ref) ?? []
        used.add(key)
        const { value } = examples[key] ?? {}
        t.match(value, key.startsWith('oauth_') ? { error: code } : { status: Number(status), code }, `${name} ${key}`)
      }
    }
  t.ok(used.size > 30)
  for (const code of Object.keys(ERRORS) as (keyof typeof ERRORS)[])
    t.match(examples[code]?.value, { code, status: errorRow(code).status, title: /./, request_id: /./ })
  const sent = await app.inject({ url: '/v1/me' })
  t.same({ ...sent.json(), request_id: '' }, { ...examples.missing_token?.value, request_id: '' })
})

t.test('no description has what Markdown takes for an HTML element', async (t) => {
  const texts: string[] = []
  JSON.stringify(document, (key, value) => {
    if (['description', 'summary', 'title'].includes(key) && typeof value === 'string') texts.push(value)
    return key === 'examples' ? undefined : value
  })
  t.ok(texts.length > 100)
  t.ok(
    texts.some((text) => text.includes('`<token>`')),
    'the name of the placeholder is there',
  )
  t.same(
    texts.filter((text) => text.replaceAll(/`[^`]*`/g, '').includes('<')),
    [],
  )
})
