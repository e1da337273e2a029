import Fastify, { type FastifyBaseLogger, type FastifyPluginCallback, type RouteOptions } from 'fastify'
import { accountRoute } from './accounts/account-route.ts'
import { adminRoutes } from './accounts/admin-route.ts'
import { meRoutes } from './accounts/me-route.ts'
import { registerRoute } from './accounts/register-route.ts'
import { auditRoute } from './administration/audit-route.ts'
import { createNoteDenied } from './administration/note-refusal.ts'
import { clientsAdminRoutes } from './clients/clients-admin-route.ts'
import { monotonicClock } from './clock.ts'
import { ping } from './db/database.ts'
import { type App, ROUTE_CONFIG_NAMES } from './http/app-type.ts'
import { registerBrowserHeaders, registerCors } from './http/browser-headers.ts'
import { registerConnectionLimits } from './http/connections.ts'
import { registerDocs } from './http/docs-route.ts'
import { type IsStopping, registerDrain } from './http/drain.ts'
import { registerErrorHandler } from './http/error-handler.ts'
import { registerForwardedFor } from './http/forwarded-for.ts'
import { healthRoutes } from './http/health-route.ts'
import { issuerPath, servedBelow } from './http/issuer-path.ts'
import { registerJsonBody } from './http/json-body.ts'
import { limitedLive, registerLimits } from './http/limits.ts'
import { registerLoad } from './http/load.ts'
import { registerNotFound } from './http/not-found.ts'
import { registerRequestLog } from './http/request-log.ts'
import { rootRoute } from './http/root-route.ts'
import { serverOptions } from './http/server-options.ts'
import { jwksRoute } from './keys/jwks-route.ts'
import { quotas } from './limits/limiter.ts'
import { registerMaintenance } from './maintenance.ts'
import { authorizeRoute } from './oauth/authorize-route.ts'
import { introspectRoute } from './oauth/introspect-route.ts'
import { metadataRoute } from './oauth/metadata-route.ts'
import { registerOAuth } from './oauth/oauth-scope.ts'
import { revokeRoute } from './oauth/revoke-route.ts'
import { tokenRoute } from './oauth/token-route.ts'
import { makeParts, type PartsOptions } from './parts.ts'
import { disownRoute } from './recovery/disown-route.ts'
import { emailRoutes } from './recovery/email-routes.ts'
import { inviteAdminRoutes } from './recovery/invite-admin-routes.ts'
import { recoveryRoutes } from './recovery/recovery-routes.ts'
import { feedRoute } from './revocations/feed-route.ts'
import { adminSessionsRoutes } from './sessions/admin-sessions-route.ts'
import { changePasswordRoute } from './sessions/change-password-route.ts'
import { loginRoute } from './sessions/login-route.ts'
import { logoutRoute } from './sessions/logout-route.ts'
import { reauthenticateRoute } from './sessions/reauthenticate-route.ts'
import { registerRefreshCookie } from './sessions/refresh-cookie.ts'
import { refreshRoute } from './sessions/refresh-route.ts'
import { sessionsRoutes } from './sessions/sessions-route.ts'
import { registerGuard } from './tokens/guard.ts'
import { ownResource, protectedResourceRoute } from './tokens/protected-resource-route.ts'
import { VERSION } from './version.ts'

export interface AppOptions extends PartsOptions {
  /** True once the process has been told to stop. Default: never. */
  readonly isStopping?: IsStopping
  /** The plugin that traces requests. Default: none. */
  readonly traces?: FastifyPluginCallback
  /** False when another process deletes expired rows from the store. Default: true. */
  readonly runsMaintenance?: boolean
  /** Routes of the application developer, registered behind the guard like our own. */
  readonly routes?: (app: App) => void
  /** Called for every route that is registered: how a test walks the route table. */
  readonly onRoute?: (route: RouteOptions) => void
}

/** Registers everything. The order is part of the security argument: the guard stands before every route. */
// biome-ignore format: this page is a table of contents
export async function buildApp(options: AppOptions): Promise<App> {
  const { isStopping = () => false, traces, runsMaintenance = true, routes, onRoute, ...given } = options
  const parts = await makeParts(given)
  const { config, database, keyring, revocations, instrumentation } = parts
  const { ISSUER: issuer, CORS_ORIGINS: origins = [], SESSION_IDLE_TTL: idleTtl } = config
  const load     = { maxEventLoopDelay: config.LOAD_MAX_EVENT_LOOP_DELAY, maxStoreQueue: config.LOAD_MAX_STORE_QUEUE }
  const cleanup  = { retention: config.AUDIT_RETENTION, skew: config.CLOCK_SKEW,
                     runsMaintenance, now: parts.deletionClock }
  const defaults = { audience: config.AUDIENCE, ttl: config.ACCESS_TOKEN_TTL }
  const checks   = { store: () => ping(database), keyring: () => keyring.state(),
                     revocationsAge: () => revocations.age(), isStopping, monotonic: monotonicClock }

  const loggerInstance = parts.logger as FastifyBaseLogger
  const path = issuerPath(issuer)
  const resource = ownResource(issuer)
  const below = servedBelow(path)
  const app: App = Fastify({ ...serverOptions(config, instrumentation.refused), ...below.options, loggerInstance })
  app.addHook('onClose', async () => parts.closeRevocations())

  if (onRoute) app.addHook('onRoute', onRoute)
  below.learnRoutes               (app)
  registerForwardedFor            (app, { trustProxy: config.TRUST_PROXY })
  if (traces) await app.register  (traces)
  registerErrorHandler            (app, instrumentation.refused, { resource_metadata: resource.url })
  registerRequestLog              (app)
  instrumentation.requests        (app)
  registerDrain                   (app)
  const pageHeaders = await registerBrowserHeaders (app, { https: issuer.startsWith('https:') })
  registerConnectionLimits        (app, { maxConnections: config.MAX_CONNECTIONS })
  await registerCors              (app, origins)
  registerGuard                   (app, { ...parts, live: limitedLive(parts), configNames: ROUTE_CONFIG_NAMES,
                                         denied: createNoteDenied(parts) })
  const overload = await registerLoad (app, { ...load, store: database, passwords: parts.passwords })
  await registerLimits            (app, { limiter: parts.limiter, quotas: quotas(config), overload, issuer, origins })
  registerNotFound                (app)
  registerJsonBody                (app)
  await registerDocs              (app, { version: VERSION, path, page: config.DOCS === 'on', pageHeaders })
  registerMaintenance             (app, { ...parts, ...cleanup })

  const isVerified = config.REGISTRATION === 'verified'
  registerRoute                   (app, { register: parts.register, open: config.REGISTRATION !== 'closed',
                                          verified: isVerified ? parts.registerVerified : undefined })
  if (config.MAIL_URL !== undefined) {
    recoveryRoutes                (app, parts)
    emailRoutes                   (app, parts)
    inviteAdminRoutes             (app, parts)
    disownRoute                   (app, parts)
  }
  await registerRefreshCookie     (app, { issuer, origins }, (scope, refreshCookie) => {
    loginRoute                    (scope, { login: parts.login, refreshCookie, idleTtl })
    refreshRoute                  (scope, { ...parts, refreshCookie, idleTtl })
    logoutRoute                   (scope, { ...parts, refreshCookie })
    changePasswordRoute           (scope, { ...parts, issuePair: parts.passwordPair, refreshCookie, idleTtl })
    reauthenticateRoute           (scope, { ...parts, issuePair: parts.passwordPair, refreshCookie, idleTtl })
  })
  sessionsRoutes                  (app, { list: parts.sessions.list, endSession: parts.endSession, now: parts.now })
  accountRoute                    (app, parts)
  meRoutes                        (app, parts)
  adminRoutes                     (app, parts)
  adminSessionsRoutes             (app, { administer: parts.administerSessions })
  auditRoute                      (app, parts)
  clientsAdminRoutes              (app, { administer: parts.administerClients, defaults })
  await registerOAuth             (app, instrumentation.refused, (scope) => {
    authorizeRoute                (scope)
    tokenRoute                    (scope, parts)
    revokeRoute                   (scope, parts)
    introspectRoute               (scope, parts)
  })
  rootRoute                       (app, { issuer, docs: config.DOCS === 'on' })
  metadataRoute                   (app, { issuer, docs: config.DOCS === 'on', scopes: config.SCOPES_SUPPORTED ?? [] })
  protectedResourceRoute          (app, resource)
  jwksRoute                       (app, parts)
  feedRoute                       (app, parts)
  healthRoutes                    (app, checks)

  routes?.(app)
  await app.ready()
  return app
}
