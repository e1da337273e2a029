import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { App } from './app-type.ts'
import { createPreparedBody, type PreparedBody } from './prepared-body.ts'

// The page is made of the files of @fastify/swagger-ui, but not served by that plugin: it sends 1.7 MB from the disk
// for every request, without compression and without a time to cache it.

// swagger-ui sets inline styles. Scripts come from this server only, and the page may call no other server.
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** The names of the versioned addresses never stand for anything else. */
const FOR_EVER = 'public, max-age=31536000, immutable'

const JAVASCRIPT = 'text/javascript; charset=utf-8'
const FILES = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'index.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': JAVASCRIPT,
  'favicon-32x32.png': 'image/png',
  'favicon-16x16.png': 'image/png',
} as const

/** The document is found from the address of this script, so that it does not matter where a proxy puts the server. */
const START = `const document_url = new URL('../../../openapi.json', document.currentScript.src).href
window.addEventListener('load', () => {
  SwaggerUIBundle({
    dom_id: '#swagger-ui',
    url: document_url,
    deepLinking: true,
    persistAuthorization: false,
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis],
    layout: 'BaseLayout',
  })
})
`

const { resolve } = createRequire(import.meta.url)
const PACKAGE = dirname(resolve('@fastify/swagger-ui/package.json'))

/** The files are the same for every server of a process. */
const bodies = new Map<string, PreparedBody>()

function bodyOf(name: string): PreparedBody {
  const known = bodies.get(name)
  if (known !== undefined) return known
  const read = name === 'start.js' ? async () => Buffer.from(START) : () => readFile(join(PACKAGE, 'static', name))
  // Every browser takes gzip. Whoever claims to take nothing must not get the large form for a small request.
  const body = createPreparedBody(read, 'gzip')
  bodies.set(name, body)
  return body
}

/**
 * `GET /docs`: the interactive page, offline and under a Content-Security-Policy. Its files have addresses with a
 * version, which browsers keep for ever.
 */
export async function registerDocsPage(app: App, { pageHeaders }: { pageHeaders: Record<string, string> }) {
  const manifest = await readFile(join(PACKAGE, 'package.json'))
  const version = createHash('sha256').update(manifest).update(START).digest('hex').slice(0, 12)
  const open = { config: { auth: 'public' }, schema: { hide: true } } as const
  await app.register(async (page) => {
    page.addHook('onRequest', (_request, reply, done) => {
      reply.headers(pageHeaders)
      done()
    })
    for (const [name, type] of Object.entries({ ...FILES, 'start.js': JAVASCRIPT })) {
      const body = bodyOf(name)
      page.get(`/docs/static/${version}/${name}`, open, (request, reply) =>
        body.send(request, reply.type(type).header('cache-control', FOR_EVER)),
      )
    }
    // Links are relative, for the same reason as in START.
    for (const [path, base] of [
      ['/docs', 'docs/static'],
      ['/docs/', 'static'],
    ] as const) {
      const html = htmlOf(`${base}/${version}`)
      page.get(path, open, (_request, reply) =>
        reply
          .headers({ 'content-security-policy': PAGE_POLICY, 'cache-control': 'no-cache' })
          .type('text/html; charset=utf-8')
          .send(html),
      )
    }
  })
}

const htmlOf = (files: string) => `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Signet API</title>
<link rel="stylesheet" href="${files}/swagger-ui.css">
<link rel="stylesheet" href="${files}/index.css">
<link rel="icon" type="image/png" href="${files}/favicon-32x32.png" sizes="32x32">
<link rel="icon" type="image/png" href="${files}/favicon-16x16.png" sizes="16x16">
</head>
<body>
<div id="swagger-ui"></div>
<script src="${files}/swagger-ui-bundle.js"></script>
<script src="${files}/start.js"></script>
</body>
</html>
`
