import Fastify, { type FastifyBaseLogger, type RouteOptions } from 'fastify'
import type { Logger } from 'pino'
import { createAccountStore } from './accounts/account-store.ts'
import { isCommonPassword } from './accounts/common-passwords.ts'
import { meRoute } from './accounts/me-route.ts'
import { createPasswords, hashCost, hashGate } from './accounts/passwords.ts'
import { createRegister } from './accounts/register.ts'
import { registerRoute } from './accounts/register-route.ts'
import { type Clock, systemClock } from './clock.ts'
import { type Config, MAX_ACCESS_TOKEN_TTL } from './config.ts'
import type { Database } from './db/database.ts'
import type { App } from './http/app-type.ts'
import { registerBrowserHeaders } from './http/browser-headers.ts'
import { registerDocs } from './http/docs-route.ts'
import { registerDrain } from './http/drain.ts'
import { registerErrorHandler } from './http/error-handler.ts'
import { healthRoutes } from './http/health-route.ts'
import { registerJsonBody } from './http/json-body.ts'
import { registerNotFound } from './http/not-found.ts'
import { registerRequestLog } from './http/request-log.ts'
import { serverOptions } from './http/server-options.ts'
import { jwksRoute } from './keys/jwks-route.ts'
import type { LiveKeyring } from './keys/live-keyring.ts'
import { createAudit } from './observability/audit.ts'
import { createLogin } from './sessions/login.ts'
import { loginRoute } from './sessions/login-route.ts'
import { createSessionStore } from './sessions/session-store.ts'
import { registerGuard } from './tokens/authenticate.ts'
import { createIssuer } from './tokens/issue.ts'
import { VERSION } from './version.ts'

export interface Parts {
  readonly config: Config
  readonly database: Database
  readonly keyring: LiveKeyring
  readonly logger: Logger
  readonly now?: Clock
  /** Routes of the application developer, registered behind the guard like our own. */
  readonly routes?: (app: App) => void
  /** Told of every route there is: how a test walks the route table. */
  readonly onRoute?: (route: RouteOptions) => void
}

/** The composition root: makes every part and registers it. The order is part of the security argument: the guard stands before every route. */
// biome-ignore format: this page is a table of contents
export async function buildApp({ config, database, keyring, logger, now = systemClock, routes, onRoute }: Parts): Promise<App> {
  const app: App = Fastify({ ...serverOptions(config), loggerInstance: logger as FastifyBaseLogger })

  const audit     = createAudit(app.log)
  const accounts  = createAccountStore(database)
  const sessions  = createSessionStore(database)
  const passwords = createPasswords(hashCost(config), hashGate(config))
  const issue     = createIssuer({ issuer: config.ISSUER, audience: config.AUDIENCE, ttl: config.ACCESS_TOKEN_TTL, keyring, now })
  const register  = createRegister({ accounts, passwords, minLength: config.PASSWORD_MIN_LENGTH, isCommon: isCommonPassword, now })
  const login     = createLogin({ accounts, passwords, sessions, issue, audit, now })
  const policy    = { issuer: config.ISSUER, audience: config.AUDIENCE, skew: config.CLOCK_SKEW, maxLifetime: MAX_ACCESS_TOKEN_TTL }

  if (onRoute) app.addHook('onRoute', onRoute)
  registerErrorHandler         (app)
  registerRequestLog           (app)
  registerDrain                (app)
  await registerBrowserHeaders (app, config.CORS_ORIGINS ?? [])
  await registerGuard          (app, { keyring, policy, now, cacheSize: 10_000 })
  registerNotFound             (app)
  registerJsonBody             (app)
  await registerDocs           (app, { version: VERSION, issuer: config.ISSUER })

  registerRoute                (app, { register, open: config.REGISTRATION === 'open', audit })
  loginRoute                   (app, { login })
  meRoute                      (app)
  jwksRoute                    (app, { keyring })
  healthRoutes                 (app, { store: () => database.query('SELECT 1 AS one'), keyring: () => keyring.state() })

  routes?.(app)
  await app.ready()
  return app
}
