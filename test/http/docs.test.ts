import { readFile } from 'node:fs/promises'
import { runInNewContext } from 'node:vm'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import type { RouteOptions } from 'fastify'
import t from 'tap'
import type { App } from '../../src/http/app-type.ts'
import { startApp } from '../support/app.ts'

const FILES = new URL('../../node_modules/@fastify/', import.meta.url)

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
  const { schemas, examples } = JSON.parse(body).components
  const referred = new Set([...body.matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => String(to)))
  const example = '#/components/examples/'
  for (const to of referred) if (to.startsWith(example)) t.ok(examples[to.slice(example.length)], to)
  t.same(
    [...referred].filter((to) => !to.startsWith(example)).sort(),
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
  t.equal(body.match(/"`urn:signet:error:<code>`"/g)?.length, 1)
  t.match(schemas.AccountPage.properties.accounts.items, { $ref: '#/components/schemas/AdminAccount' })
})

/** The addresses of the files of the page, as a browser finds them. */
async function filesOf(app: App, page = '/docs'): Promise<string[]> {
  const { body } = await app.inject(page)
  const links = [...body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => String(link))
  return links.map((link) => new URL(link, `http://signet${page}`).pathname)
}

t.test('there is one document, and the page finds it wherever a proxy puts the server', async (t) => {
  const { app } = await startApp(t)
  for (const prefix of ['', '/auth']) {
    const path = (await filesOf(app)).find((file) => file.endsWith('/start.js')) ?? ''
    const script = gunzipSync((await app.inject(path)).rawPayload).toString()
    let load = () => {}
    const asked: (string | undefined)[] = []
    const show = ({ url }: { url?: string }) => void asked.push(url)
    const SwaggerUIBundle = Object.assign(show, { presets: { apis: [] } })
    runInNewContext(script, {
      URL,
      SwaggerUIBundle,
      document: { currentScript: { src: `https://signet.example${prefix}${path}` } },
      window: {
        addEventListener(_event: string, listener: () => void) {
          load = listener
        },
      },
    })
    load()
    t.same(asked, [`https://signet.example${prefix}/openapi.json`])
  }
  for (const url of ['/docs/json', '/docs/yaml']) t.equal((await app.inject(url)).statusCode, 404)
})

t.test('the files are small, sent from memory, and kept by browsers for ever; the page is not', async (t) => {
  const { app } = await startApp(t)
  const files = await filesOf(app)
  t.same(await filesOf(app, '/docs/'), files)
  for (const url of files) {
    const whole = await readFile(new URL(`swagger-ui/static/${url.split('/').at(-1)}`, FILES)).catch(() => undefined)
    for (const [accepted, coding, unpacked] of [
      ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
      ['GZIP;q=0.5, br;q=0', 'gzip', gunzipSync],
      ['identity', 'gzip', gunzipSync], // a small request must not get 1.7 MB
    ] as const) {
      const reply = await app.inject({ url, headers: { 'accept-encoding': accepted } })
      t.match(reply, {
        statusCode: 200,
        headers: {
          'content-encoding': coding,
          'cache-control': 'public, max-age=31536000, immutable',
          vary: /accept-encoding/,
          etag: /^"[\w-]+"$/,
        },
      })
      if (whole !== undefined) t.ok(unpacked(reply.rawPayload).equals(whole), `${url} ${coding}`)
      t.ok(reply.rawPayload.length < 460_000)
      const headers = { 'accept-encoding': accepted, 'if-none-match': String(reply.headers.etag) }
      t.match(await app.inject({ url, headers }), { statusCode: 304, body: '' })
    }
  }
  t.equal((await app.inject('/docs')).headers['cache-control'], 'no-cache')
})

t.test('the document is compressed for who says so, and is plain JSON for all others', async (t) => {
  const { app } = await startApp(t, { env: { CORS_ORIGINS: 'https://app.example,https://other.example' } })
  const plain = await app.inject('/openapi.json')
  t.match(plain.headers, { 'content-encoding': undefined, 'cache-control': 'public, no-cache', etag: /^"/ })
  const small = await app.inject({
    url: '/openapi.json',
    headers: { 'accept-encoding': 'br', origin: 'https://app.example' },
  })
  t.same(JSON.parse(brotliDecompressSync(small.rawPayload).toString()), plain.json())
  t.ok(small.rawPayload.length < plain.rawPayload.length / 5)
  t.not(small.headers.etag, plain.headers.etag)
  t.match(small.headers, { vary: 'accept-encoding', 'access-control-allow-origin': '*' }, 'the same for every origin')
  const again = { 'if-none-match': String(plain.headers.etag) }
  t.equal((await app.inject({ url: '/openapi.json', headers: again })).statusCode, 304)
})

t.test('DOCS=off leaves the document and takes the page away, also from the metadata', async (t) => {
  const { app } = await startApp(t, { env: { DOCS: 'off' } })
  for (const url of ['/docs', '/docs/', ...(await filesOf((await startApp(t)).app))])
    t.equal((await app.inject(url)).statusCode, 404, url)
  t.equal((await app.inject('/openapi.json')).statusCode, 200)
  const metadata = (await app.inject('/.well-known/oauth-authorization-server')).json()
  t.equal(metadata.service_documentation, undefined)
  t.match(metadata.signet_openapi, /openapi\.json$/)
})

t.test('/docs is served by this server alone, under a policy that lets it call nobody else', async (t) => {
  const { app } = await startApp(t)
  const page = await app.inject('/docs')
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], /text\/html/)
  t.match(page.headers['content-security-policy'], /default-src 'none';.*script-src 'self';.*connect-src 'self'/)
  const links = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => String(link))
  t.ok(links.length > 3)
  for (const link of links) t.notMatch(link, /^(https?:)?\/\//, 'nothing comes from elsewhere')
  for (const file of await filesOf(app)) t.equal((await app.inject(file)).statusCode, 200, file)
  t.equal((await app.inject('/docs/static/../../package.json')).statusCode, 404)
})
