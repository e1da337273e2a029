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
      t.match(responses['500'], { content: { 'application/problem+json': {} } })
      if (security?.length) t.match(responses['401']?.description, /`invalid_token`/)
    }
  }
  const documented = routes.filter(
    ({ schema, method, url }) => schema && !schema.hide && method !== 'HEAD' && !url.startsWith('/docs'),
  )
  t.same(seen.sort(), documented.map(({ method, url }) => `${method} ${url.replace(/:(\w+)/g, '{$1}')}`).sort())
  t.ok(seen.length >= 15)
  t.notMatch(reply.body, /"def-\d+"/, 'shared schemas have names')
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
