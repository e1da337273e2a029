import type { RouteOptions } from 'fastify'
import t from 'tap'
import { startApp } from '../support/app.ts'

interface Operation {
  summary?: string
  security?: unknown[]
  responses: Record<string, { description: string; content?: Record<string, unknown> }>
}

t.test('/openapi.json is 3.1 and has every route with its security and errors', async (t) => {
  const seen: string[] = []
  const routes: RouteOptions[] = []
  const { app } = await startApp(t, { onRoute: (route) => void routes.push(route) })
  const reply = await app.inject('/openapi.json')
  t.equal(reply.statusCode, 200)
  const document = reply.json()
  t.equal(document.openapi, '3.1.0')
  t.same(document.components.securitySchemes.bearer.scheme, 'bearer')

  for (const [path, operations] of Object.entries(document.paths as Record<string, Record<string, Operation>>)) {
    for (const [method, { summary, security, responses }] of Object.entries(operations)) {
      seen.push(`${method.toUpperCase()} ${path}`)
      t.ok(summary, `${path} has a summary`)
      t.ok(Array.isArray(security), `${path} says whether it needs a token`)
      t.ok(
        Object.keys(responses).some((status) => status.startsWith('2')),
        `${path} has a good answer`,
      )
      const [type, name] = path.startsWith('/oauth/')
        ? ['application/json', 'OAuthError']
        : ['application/problem+json', 'Problem']
      t.match(responses['500'], { content: { [type]: { schema: { $ref: new RegExp(`/${name}$`) } } } })
      for (const [status, { description }] of Object.entries(responses))
        t.notMatch(description, /^(Default Response|The answer)?$/, `${path} ${status} is described`)
      if (security?.length && name === 'Problem') t.match(responses['401']?.description, /`invalid_token`/)
    }
  }
  const documented = routes.filter(
    ({ schema, method, url }) => schema && !schema.hide && method !== 'HEAD' && !url.startsWith('/docs'),
  )
  t.same(seen.sort(), documented.map(({ method, url }) => `${method} ${url.replace(/:(\w+)/g, '{$1}')}`).sort())
  t.ok(seen.length >= 15)
  t.notMatch(reply.body, /"def-\d+"|"x-name"|"\$id"/, 'shared schemas have names')
})

t.test('every schema with a name is written once, and every reference leads to one', async (t) => {
  const { app } = await startApp(t)
  const { body } = await app.inject('/openapi.json')
  const { schemas } = JSON.parse(body).components
  const referred = new Set([...body.matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to))
  t.same(
    [...referred].sort(),
    Object.keys(schemas)
      .map((name) => `#/components/schemas/${name}`)
      .sort(),
  )
  for (const name of [
    'Problem',
    'TokenResponse',
    'Account',
    'AdminAccount',
    'AccountPage',
    'Me',
    'Sessions',
    'Session',
  ])
    t.ok(schemas[name], name)
  t.equal(body.match(/"urn:signet:error:<code>"/g)?.length, 1)
  t.match(schemas.AccountPage.properties.accounts.items, { $ref: '#/components/schemas/AdminAccount' })
})

t.test('there is one document: the one the page asks for leads to it', async (t) => {
  const { app } = await startApp(t)
  const reply = await app.inject('/docs/json')
  t.equal(reply.statusCode, 302)
  t.equal(new URL(String(reply.headers.location), 'http://signet/docs/json').pathname, '/openapi.json')
  t.equal((await app.inject('/docs/yaml')).statusCode, 404)
})

t.test('/docs is served by this server alone, under a policy that lets it call nobody else', async (t) => {
  const { app } = await startApp(t)
  const page = await app.inject('/docs')
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], /text\/html/)
  t.match(page.headers['content-security-policy'], /default-src 'none';.*script-src 'self';.*connect-src 'self'/)
  const links = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => String(link))
  t.ok(links.length > 3)
  for (const link of links) {
    t.notMatch(link, /^(https?:)?\/\//, 'nothing comes from elsewhere')
    const asset = await app.inject(new URL(link, 'http://signet/docs').pathname)
    t.equal(asset.statusCode, 200, link)
  }
  t.equal((await app.inject('/docs/static/../../package.json')).statusCode, 404)
})
