import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import helmet from '@fastify/helmet'
import esbuild from 'esbuild'
import Fastify, { type FastifyInstance } from 'fastify'
import { fastifySignet } from '../../src/verifier/fastify.ts'

const PAGE = new URL('page/', import.meta.url)
/** One document for all; its script shows what belongs to the path. */
const PATHS = ['/', '/forgot', '/recover', '/confirm-email', '/not-me']
/** A payment asks for a password that was shown in the last minute. */
const PAYMENT_MAX_AUTH_AGE_SECONDS = 60

/**
 * The demo's own server: a page on an origin of its own, and an API behind the guard of `signet-verifier`. It knows
 * nothing of the token server but its address.
 *
 * @param issuer origin of the token server
 */
export async function createDemoServer(issuer: string): Promise<FastifyInstance> {
  const app = Fastify({ logger: { level: 'warn' } })
  await app.register(helmet, {
    strictTransportSecurity: false, // plain http, on localhost only
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        connectSrc: ["'self'", issuer],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
  })
  await app.register(fastifySignet, { issuer, audience: issuer, revocations: true })
  await servePage(app, issuer)

  app.get('/api/whoami', async ({ user }) => ({ account: user.sub, session: user.sid }))
  app.post('/api/payments', { config: { maxAuthAge: PAYMENT_MAX_AUTH_AGE_SECONDS } }, async () => ({
    receipt: randomUUID().slice(0, 8),
  }))
  return app
}

async function servePage(app: FastifyInstance, issuer: string): Promise<void> {
  const html = (await readFile(new URL('index.html', PAGE), 'utf8')).replace('{issuer}', issuer)
  const css = await readFile(new URL('style.css', PAGE), 'utf8')
  const files = [
    ...PATHS.map((path) => [path, 'text/html; charset=utf-8', html] as const),
    ['/style.css', 'text/css; charset=utf-8', css],
    ['/app.js', 'text/javascript; charset=utf-8', await bundle()],
  ] as const
  for (const [path, type, body] of files)
    app.get(path, { config: { auth: 'public' } }, (_request, reply) => reply.type(type).send(body))
  app.get('/favicon.ico', { config: { auth: 'public' } }, (_request, reply) => reply.code(204).send())
}

/** The page's script with `signet-client` in it, as the bundler of an application makes it. */
async function bundle(): Promise<string> {
  const { outputFiles } = await esbuild.build({
    entryPoints: [fileURLToPath(new URL('app.ts', PAGE))],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    write: false,
    tsconfig: fileURLToPath(new URL('tsconfig.json', PAGE)),
  })
  return outputFiles[0]?.text ?? ''
}
