import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { systemClock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import { problemResponse } from '../errors/problem.ts'
import { assertRoute, registerGuard } from '../tokens/guard.ts'
import { createVerifier } from './create-verifier.ts'
import { earlierRoutes } from './earlier-routes.ts'
import type { VerifierOptions } from './options.ts'
import { serveMetadata } from './serve-metadata.ts'
import { noteRefusal, type Verifier } from './verifier.ts'

// Not only for those who want the name: without an export, the declarations of the package would leave out the file
// that tells Fastify of `request.user` and of `config.auth`.
export type { RouteAuth } from '../tokens/guard.ts'

declare module 'fastify' {
  interface FastifyInstance {
    signet: Verifier
  }
}

/**
 * What the package `fastify-plugin` writes on a plugin: its hooks and decorators hold for the whole app, and Fastify
 * checks its own version. Written by hand, because `fastify-plugin` calls `require()`, which fails in a bundle that is
 * an ES module.
 */
const FOR_THE_WHOLE_APP = {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'signet',
  [Symbol.for('plugin-meta')]: { name: 'signet', fastify: '5.x' },
}

/**
 * The guard of the server as a Fastify plugin: every route of the app is protected unless it says
 * `config: { auth: 'public' }`, and may ask for `roles`, `scope`, `anyOf` and `maxAuthAge`. The caller's claims are
 * `request.user`, the verifier is `app.signet`.
 *
 * With the option `resource` it serves the metadata of the service, unless the app did so before.
 *
 * The app starts also while the issuer is away; until its keys are there, protected routes answer 503.
 */
export const fastifySignet: FastifyPluginAsync<VerifierOptions> = Object.assign(guardWholeApp, FOR_THE_WHOLE_APP)

async function guardWholeApp(app: FastifyInstance, options: VerifierOptions): Promise<void> {
  for (const route of earlierRoutes(app)) assertRoute(route, false)
  const report = options.onEvent ?? (() => undefined)
  const verifier = createVerifier({
    ...options,
    onEvent(event) {
      if (event.type === 'watch_failed') app.log.error(event, 'signet: the end of a token could not be told')
      else if (event.type === 'store_failed') app.log.warn(event, 'signet: the store is of no use, the issuer is asked')
      else if (event.type.endsWith('_failed')) app.log.warn(event, 'signet: the issuer could not be asked')
      report(event)
    },
  })
  app.decorate('signet', verifier)
  registerGuard(app, {
    verify: (token) => verifier.verifyNow(token),
    now: options.now ?? systemClock,
    refuse(error, request, reply) {
      noteRefusal(verifier, error)
      const refusal = error instanceof AppError ? error : new AppError('internal', { cause: error })
      const { status, headers, body } = problemResponse(refusal, request.id)
      if (refusal.code === 'internal') request.log.error({ err: error }, 'signet: the token could not be judged')
      else request.log.info({ code: refusal.code, refusal: refusal.refusal, reason: refusal.reason }, 'signet: refused')
      reply.code(status).headers(headers).send(body)
    },
  })
  serveMetadata(app, verifier)
  // Fastify gives a hook ten seconds (`pluginTimeout`), and a start that fails for it would be worse than a first 503.
  app.addHook('onReady', () =>
    Promise.race([verifier.hydrate().catch(() => undefined), delay(5000, undefined, { ref: false })]),
  )
  app.addHook('onClose', async () => verifier.close())
}
