import Fastify, { type FastifyBaseLogger, type FastifyPluginCallback, type RouteOptions } from 'fastify'
import type { Logger } from 'pino'
import { createAccountStore } from './accounts/account-store.ts'
import { adminRoutes } from './accounts/admin-route.ts'
import { createAdminister } from './accounts/administer.ts'
import { isCommonPassword } from './accounts/common-passwords.ts'
import { meRoutes } from './accounts/me-route.ts'
import { createOwnAccount } from './accounts/own-account.ts'
import { createPasswords, hashCost, hashGate } from './accounts/passwords.ts'
import { createRegister } from './accounts/register.ts'
import { registerRoute } from './accounts/register-route.ts'
import { createAuditLog } from './audit/audit.ts'
import { createAuditStore } from './audit/audit-store.ts'
import { auditedDatabase } from './audit/audited-database.ts'
import { createAdministerClients } from './clients/administer-clients.ts'
import { createAuthenticateClient } from './clients/authenticate-client.ts'
import { createVerifyAssertion } from './clients/client-assertion.ts'
import { createClientKeys } from './clients/client-key-source.ts'
import { createClientStore } from './clients/client-store.ts'
import { clientsAdminRoutes } from './clients/clients-admin-route.ts'
import { rememberClients } from './clients/remembered-clients.ts'
import { type Clock, createDeletionClock, monotonicClock, systemClock } from './clock.ts'
import { MAX_ACCESS_TOKEN_TTL_SECONDS } from './config/ceilings.ts'
import type { Config } from './config/config.ts'
import type { Database } from './db/database.ts'
import type { App } from './http/app-type.ts'
import { registerBrowserHeaders } from './http/browser-headers.ts'
import { registerConnectionLimits } from './http/connections.ts'
import { registerDocs } from './http/docs-route.ts'
import { type IsStopping, registerDrain } from './http/drain.ts'
import { registerErrorHandler } from './http/error-handler.ts'
import { healthRoutes } from './http/health-route.ts'
import { registerJsonBody } from './http/json-body.ts'
import { registerLimits } from './http/limits.ts'
import { registerLoad } from './http/load.ts'
import { registerNotFound } from './http/not-found.ts'
import { registerRequestLog } from './http/request-log.ts'
import { serverOptions } from './http/server-options.ts'
import { jwksRoute } from './keys/jwks-route.ts'
import type { LiveKeyring } from './keys/live-keyring.ts'
import { createLimiter, type Limiter, quotas } from './limits/limiter.ts'
import { createPasswordAttempts } from './limits/password-attempts.ts'
import { registerMaintenance } from './maintenance.ts'
import { createClientCredentialsGrant } from './oauth/client-credentials-grant.ts'
import { createIntrospect } from './oauth/introspect.ts'
import { introspectRoute } from './oauth/introspect-route.ts'
import { metadataRoute, tokenEndpointOf } from './oauth/metadata-route.ts'
import { registerOAuth } from './oauth/oauth-scope.ts'
import { createRefreshGrant } from './oauth/refresh-grant.ts'
import { createRevoke } from './oauth/revoke.ts'
import { revokeRoute } from './oauth/revoke-route.ts'
import { tokenRoute } from './oauth/token-route.ts'
import { createTokenStore } from './oauth/token-store.ts'
import { createVerifyIssuedToken } from './oauth/verify-issued-token.ts'
import { type Instrumentation, NO_INSTRUMENTATION } from './observability/instrumentation.ts'
import { createFeed } from './revocations/feed.ts'
import { feedRoute } from './revocations/feed-route.ts'
import { registerRevocations } from './revocations/register-revocations.ts'
import { revocationExpiry } from './revocations/revocation.ts'
import { createRevocationStore } from './revocations/revocation-store.ts'
import { createEndSession } from './sessions/end-session.ts'
import { createIsKnownNetwork } from './sessions/known-network.ts'
import { createLiveCheck } from './sessions/live-check.ts'
import { createLogin } from './sessions/login.ts'
import { loginRoute } from './sessions/login-route.ts'
import { logoutRoute } from './sessions/logout-route.ts'
import { createRefresh } from './sessions/refresh.ts'
import { registerRefreshCookie } from './sessions/refresh-cookie.ts'
import { refreshRoute } from './sessions/refresh-route.ts'
import { sessionLimits } from './sessions/session.ts'
import { createSessionStore } from './sessions/session-store.ts'
import { sessionsRoutes } from './sessions/sessions-route.ts'
import { createIssuePair } from './sessions/token-pair.ts'
import { ACCESS_TOKEN_TYPE } from './tokens/claims.ts'
import { createFastifyJwtSignature } from './tokens/fastify-jwt-signature.ts'
import { registerGuard } from './tokens/guard.ts'
import { createIssuer } from './tokens/issue.ts'
import { VerifiedTokens } from './tokens/verified-tokens.ts'
import { createTokenVerifier } from './tokens/verify.ts'
import { VERSION } from './version.ts'

export interface Parts {
  readonly config: Config
  readonly database: Database
  readonly keyring: LiveKeyring
  readonly logger: Logger
  readonly now?: Clock
  /** By which things are deleted. Default: made from `now`. */
  readonly deletionClock?: Clock
  /** Who counts what happens. Default: nobody. */
  readonly instrumentation?: Instrumentation
  /** True once the process was told to stop. Default: never. */
  readonly isStopping?: IsStopping
  /** The plugin that traces requests. Default: none. */
  readonly traces?: FastifyPluginCallback
  /** Where requests and wrong passwords are counted. Default: in this process. */
  readonly limiter?: Limiter
  /** False when another process deletes from the store what is over. Default: true. */
  readonly runsMaintenance?: boolean
  /** Routes of the application developer, registered behind the guard like our own. */
  readonly routes?: (app: App) => void
  /** Told of every route there is: how a test walks the route table. */
  readonly onRoute?: (route: RouteOptions) => void
}

/** The composition root: makes every part and registers it. The order is part of the security argument: the guard stands before every route. */
// biome-ignore format: this page is a table of contents
export async function buildApp({ config, keyring, logger, now = systemClock, deletionClock = createDeletionClock(now, monotonicClock, revocationExpiry(0)), limiter = createLimiter(config, now), runsMaintenance = true, instrumentation = NO_INSTRUMENTATION, isStopping = () => false, traces, routes, onRoute, ...parts }: Parts): Promise<App> {
  const app: App = Fastify({ ...serverOptions(config, instrumentation.refused), loggerInstance: logger as FastifyBaseLogger })

  const auditLog    = createAuditLog(app.log.child({}, { level: config.LOG_LEVEL === 'silent' ? 'silent' : 'info' })) // whatever the level of the rest
  const database    = auditedDatabase(instrumentation.store(parts.database), auditLog)
  const auditStore  = createAuditStore(database)
  const accounts    = createAccountStore(database)
  const sessions    = createSessionStore(database)
  const clients     = rememberClients(createClientStore(database), monotonicClock)
  const revocations = await registerRevocations(app, database, { now: deletionClock, maxStaleness: config.REVOCATION_MAX_STALENESS, policy: config.REVOCATION_STALE_POLICY })
  const revocationsApplied   = () => revocations.catchUp()
  const feed        = createFeed({ issuer: config.ISSUER, ttl: config.FEED_TTL, maxWaiters: config.FEED_MAX_WAITERS, keyring, revocations, now, monotonic: monotonicClock })
  const limits      = sessionLimits(config, database)
  const passwords   = createPasswords(hashCost(config), hashGate(config), instrumentation.gateWaited)
  const newPassword = { minLength: config.PASSWORD_MIN_LENGTH, isCommon: isCommonPassword }
  const issue       = createIssuer({ issuer: config.ISSUER, audience: config.AUDIENCE, ttl: config.ACCESS_TOKEN_TTL, keyring, now })
  const refreshKeys = { current: () => keyring.refreshKeys() }
  const issuePair   = createIssuePair({ issue, refreshKeys })
  const attempts    = createPasswordAttempts({ limiter, isKnownNetwork: createIsKnownNetwork({ sessions, now }) })
  const register    = createRegister({ accounts, passwords, ...newPassword, limiter, now })
  const login       = createLogin({ accounts, passwords, attempts, sessions, limits, issuePair: instrumentation.issuing('password', issuePair), revocationsApplied, auditStore, now })
  const refresh     = createRefresh({ sessions, refreshKeys, limits, issuePair: instrumentation.issuing('refresh_token', issuePair), revocationsApplied, limiter, observe: instrumentation.refreshed, now })
  const endSession  = createEndSession({ sessions, revocationsApplied, now })
  const ownAccount  = createOwnAccount({ accounts, passwords, attempts, ...newPassword, revocationsApplied, now })
  const administer  = createAdminister({ accounts, revocationsApplied, now })
  const live        = createLiveCheck({ sessions, clients, now })
  const policy      = { issuer: config.ISSUER, audience: config.AUDIENCE, typ: ACCESS_TOKEN_TYPE, skew: config.CLOCK_SKEW, maxLifetime: MAX_ACCESS_TOKEN_TTL_SECONDS }
  const cache       = new VerifiedTokens({ entries: 10_000, characters: 16_000_000 })
  const { verify }  = createTokenVerifier({ keys: keyring, policy, now, cache, revocations, verifySignature: createFastifyJwtSignature(policy) })
  const origins     = config.CORS_ORIGINS ?? []

  const audience          = config.AUDIENCE
  const assertionPolicy   = { audience: [config.ISSUER, tokenEndpointOf(config.ISSUER)], skew: config.CLOCK_SKEW }
  const verifyAssertion   = createVerifyAssertion({ keys: createClientKeys(), policy: assertionPolicy, now })
  const verifyIssuedToken    = createVerifyIssuedToken({ keys: keyring, policy, revocations, now })
  const authenticate      = createAuthenticateClient({ clients, verifyAssertion, limiter, auditLog, auditStore, now })
  const clientCredentials = createClientCredentialsGrant({ issue: instrumentation.issuing('client_credentials', issue), audience, limiter, auditLog })
  const refreshGrant      = createRefreshGrant({ sessions, refreshKeys, refresh, audience, now })
  const revoke            = createRevoke({ sessions, refreshKeys, tokens: createTokenStore(database), verifyIssuedToken, revocationsApplied, now })
  const introspect        = createIntrospect({ verifyIssuedToken, revocationsApplied, audience })
  const administerClients = createAdministerClients({ clients, revocationsApplied, now })

  if (onRoute) app.addHook('onRoute', onRoute)
  if (traces) await app.register  (traces)
  registerErrorHandler            (app, instrumentation.refused)
  registerRequestLog              (app)
  instrumentation.requests                  (app)
  registerDrain                   (app)
  const pageHeaders = await registerBrowserHeaders (app, { origins, https: config.ISSUER.startsWith('https:') })
  registerConnectionLimits        (app, { maxConnections: config.MAX_CONNECTIONS })
  registerGuard                   (app, { verify, live, now })
  instrumentation.state                     ({ keyring, revocations, cache, gate: passwords.gate, now })
  const overload = await registerLoad (app, { maxEventLoopDelay: config.LOAD_MAX_EVENT_LOOP_DELAY, maxStoreQueue: config.LOAD_MAX_STORE_QUEUE, store: database, passwords })
  await registerLimits            (app, { limiter, quotas: quotas(config), overload })
  registerNotFound                (app)
  registerJsonBody                (app)
  await registerDocs              (app, { version: VERSION, pageHeaders })
  registerMaintenance             (app, { sessions, clients, auditStore, revocations: createRevocationStore(database), cache, skew: config.CLOCK_SKEW, retention: config.AUDIT_RETENTION, runsMaintenance, now: deletionClock })

  registerRoute                   (app, { register, open: config.REGISTRATION === 'open' })
  await registerRefreshCookie     (app, { issuer: config.ISSUER, origins }, (scope, jar) => {
    loginRoute                    (scope, { login, jar, idleTtl: config.SESSION_IDLE_TTL })
    refreshRoute                  (scope, { refresh, jar, idleTtl: config.SESSION_IDLE_TTL })
    logoutRoute                   (scope, { endSession, jar })
  })
  sessionsRoutes                  (app, { list: sessions.list, endSession, now })
  meRoutes                        (app, { ownAccount })
  adminRoutes                     (app, { administer })
  clientsAdminRoutes              (app, { administer: administerClients, defaults: { audience, ttl: config.ACCESS_TOKEN_TTL } })
  await registerOAuth             (app, instrumentation.refused, (scope) => {
    tokenRoute                    (scope, { authenticate, clientCredentials, refreshGrant })
    revokeRoute                   (scope, { authenticate, revoke })
    introspectRoute               (scope, { authenticate, introspect })
  })
  metadataRoute                   (app, { issuer: config.ISSUER })
  jwksRoute                       (app, { keyring })
  feedRoute                       (app, { feed })
  healthRoutes                    (app, { store: () => database.query('SELECT 1 AS one'), keyring: () => keyring.state(), isStopping, revocationsAge: () => revocations.age() })

  routes?.(app)
  await app.ready()
  return app
}
