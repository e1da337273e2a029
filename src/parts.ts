import type { Logger } from 'pino'
import { createAccountStore } from './accounts/account-store.ts'
import { createAdminister } from './accounts/administer.ts'
import { isCommonPassword } from './accounts/common-passwords.ts'
import { createConfirmPassword } from './accounts/confirm-password.ts'
import { createOwnAccount } from './accounts/own-account.ts'
import { createPasswords, hashCost, hashGate } from './accounts/passwords.ts'
import { createRegister } from './accounts/register.ts'
import { makeAdministration } from './administration/make-administration.ts'
import { createAuditLog } from './audit/audit.ts'
import { createAuditStore } from './audit/audit-store.ts'
import { auditedDatabase } from './audit/audited-database.ts'
import { createBoundedInsert } from './audit/bounded-insert.ts'
import { createAdministerClients } from './clients/administer-clients.ts'
import { createAuthenticateClient } from './clients/authenticate-client.ts'
import { createVerifyAssertion } from './clients/client-assertion.ts'
import { createClientKeys } from './clients/client-key-source.ts'
import { createClientStore } from './clients/client-store.ts'
import { type Clock, createDeletionClock, monotonicClock, systemClock } from './clock.ts'
import { MAX_ACCESS_TOKEN_TTL_SECONDS } from './config/ceilings.ts'
import type { Config } from './config/config.ts'
import type { Database } from './db/database.ts'
import type { LiveKeyring } from './keys/live-keyring.ts'
import { createLimiter, type Limiter } from './limits/limiter.ts'
import { createPasswordAttempts } from './limits/password-attempts.ts'
import { noticedDatabase } from './messages/noticed-database.ts'
import { createEnqueue, enqueueNothing } from './messages/outbox-store.ts'
import { createOutboxUpkeep } from './messages/outbox-upkeep-store.ts'
import { createClientCredentialsGrant } from './oauth/client-credentials-grant.ts'
import { createIntrospect } from './oauth/introspect.ts'
import { tokenEndpointOf } from './oauth/metadata-route.ts'
import { createRefreshGrant } from './oauth/refresh-grant.ts'
import { createRevoke } from './oauth/revoke.ts'
import { createTokenStore } from './oauth/token-store.ts'
import { createVerifyIssuedToken, createVerifyTokenToRevoke } from './oauth/verify-issued-token.ts'
import { type Instrumentation, NO_INSTRUMENTATION } from './observability/instrumentation.ts'
import { createRecoveryParts } from './recovery/recovery-parts.ts'
import { CursorWitness } from './revocations/cursor-witness.ts'
import { createFeed } from './revocations/feed.ts'
import { openGuardedRevocations } from './revocations/guarded-revocations.ts'
import { createLookFirst } from './revocations/look-first.ts'
import { revocationExpiry } from './revocations/revocation.ts'
import { createRevocationStore } from './revocations/revocation-store.ts'
import { createAdministerSessions } from './sessions/administer-sessions.ts'
import { createHasCookieTransport } from './sessions/cookie-transport-store.ts'
import { createEndSession } from './sessions/end-session.ts'
import { createPredatesHostCookie } from './sessions/former-cookie.ts'
import { createBeganBeforeUpdate } from './sessions/former-cookie-store.ts'
import { createIsKnownNetwork } from './sessions/known-network.ts'
import { createLiveCheck } from './sessions/live-check.ts'
import { createLogin } from './sessions/login.ts'
import { createReauthenticate } from './sessions/reauthenticate.ts'
import { createRefresh } from './sessions/refresh.ts'
import { sessionLimits } from './sessions/session.ts'
import { createSessionStore } from './sessions/session-store.ts'
import { createIssuePair } from './sessions/token-pair.ts'
import { ACCESS_TOKEN_TYPE, type ClaimsPolicy } from './tokens/claims.ts'
import { createFastifyJwtSignature } from './tokens/fastify-jwt-signature.ts'
import { createIssuer } from './tokens/issue.ts'
import { CACHE_BOUNDS, VerifiedTokens } from './tokens/verified-tokens.ts'
import { createTokenVerifier, verifyAfterLook } from './tokens/verify.ts'

/** What the process hands in. */
export interface PartsOptions {
  readonly config: Config
  readonly database: Database
  readonly keyring: LiveKeyring
  readonly logger: Logger
  readonly now?: Clock
  /** The clock by which expired data is deleted. Default: made from `now`. */
  readonly deletionClock?: Clock
  /** Metrics and traces. Default: none. */
  readonly instrumentation?: Instrumentation
  /** Where requests and wrong passwords are counted. Default: in this process. */
  readonly limiter?: Limiter
}

/**
 * Makes every part of the server, bottom-up: each group uses the groups above it on this page. app.ts registers them.
 */
export async function makeParts(options: PartsOptions) {
  const base = makeBase(options)
  const stores = makeStores(base)
  const revocationParts = await makeRevocations(base, stores)
  const tokenParts = makeTokens(base, revocationParts)
  const accountParts = makeAccounts(base, stores, revocationParts, tokenParts)
  const clientParts = makeClients(base, stores, revocationParts, tokenParts, accountParts)
  const { gate } = accountParts.passwords
  base.instrumentation.state({ ...base, ...stores, ...revocationParts, ...tokenParts, gate })
  return { ...base, ...stores, ...revocationParts, ...tokenParts, ...accountParts, ...clientParts }
}

export type Parts = Awaited<ReturnType<typeof makeParts>>
type Base = ReturnType<typeof makeBase>
type Stores = ReturnType<typeof makeStores>
type RevocationParts = Awaited<ReturnType<typeof makeRevocations>>
type TokenParts = ReturnType<typeof makeTokens>
type AccountParts = ReturnType<typeof makeAccounts>

function makeBase({ config, keyring, logger, now = systemClock, ...options }: PartsOptions) {
  const { instrumentation = NO_INSTRUMENTATION, limiter = createLimiter(config, now) } = options
  const { deletionClock = createDeletionClock(now, monotonicClock, revocationExpiry(0)) } = options
  // Audit lines are written at every LOG_LEVEL except `silent`.
  const auditLog = createAuditLog(logger.child({}, { level: config.LOG_LEVEL === 'silent' ? 'silent' : 'info' }))
  const audited = auditedDatabase(instrumentation.store(options.database), auditLog)
  const enqueue = config.MAIL_URL === undefined ? enqueueNothing : createEnqueue(keyring)
  const database = noticedDatabase(audited, { enqueue, notices: config.NOTICES })
  return { config, keyring, logger, now, deletionClock, instrumentation, limiter, auditLog, database, enqueue }
}

function makeStores({ database, limiter, auditLog, now }: Base) {
  const auditStore = createAuditStore(database)
  const boundedInsert = createBoundedInsert({ limiter, auditStore, auditLog, now })
  return {
    auditStore,
    boundedInsert,
    ...makeAdministration({ database, boundedInsert, now }),
    accounts: createAccountStore(database),
    sessions: createSessionStore(database),
    clients: createClientStore(database),
    revocationStore: createRevocationStore(database),
    tokenStore: createTokenStore(database),
    outbox: createOutboxUpkeep(database),
  }
}

/** The set of revocations that every request is checked against, and the feed that publishes it. */
async function makeRevocations({ config, keyring, logger, database, now, ...base }: Base, stores: Stores) {
  const revocations = await openGuardedRevocations(database, stores.revocationStore, {
    log: logger,
    now: base.deletionClock,
    wall: now,
    maxStaleness: config.REVOCATION_MAX_STALENESS,
    policy: config.REVOCATION_STALE_POLICY,
  })
  const { ISSUER: issuer, FEED_TTL: ttl, FEED_MAX_WAITERS: maxWaiters } = config
  const monotonic = monotonicClock
  const { lookFirst, close } = createLookFirst({ revocations, reloadKeys: keyring.reload, monotonic, now })
  const refreshKeys = () => keyring.refreshKeys()
  const witness = new CursorWitness({ store: stores.revocationStore, revocations, refreshKeys, now })
  const feed = createFeed({ issuer, ttl, maxWaiters, keyring, revocations, witness, lookFirst, now, monotonic })
  const closeRevocations = () => {
    close()
    revocations.close()
  }
  return { revocations, feed, lookFirst, revocationsApplied: () => revocations.catchUp(), closeRevocations }
}

/** Issuing and verifying access tokens. */
function makeTokens({ config, keyring, now }: Base, { revocations, lookFirst }: RevocationParts) {
  const { ISSUER: issuer, AUDIENCE: audience, ACCESS_TOKEN_TTL: ttl, CLOCK_SKEW: skew } = config
  const spread = config.ACCESS_TOKEN_TTL_SPREAD
  const maxLifetime = MAX_ACCESS_TOKEN_TTL_SECONDS
  const policy: ClaimsPolicy = { issuer, audience, typ: ACCESS_TOKEN_TYPE, skew, maxLifetime }
  const cache = new VerifiedTokens(CACHE_BOUNDS)
  const verifySignature = createFastifyJwtSignature(policy)
  const issued = { keys: keyring, policy, revocations, now }
  const verifier = createTokenVerifier({ keys: keyring, policy, now, cache, revocations, verifySignature })
  return {
    cache,
    issue: createIssuer({ issuer, audience, ttl, spread, keyring, now }),
    verify: verifyAfterLook(verifier.verify, lookFirst),
    verifyIssuedToken: verifyAfterLook(createVerifyIssuedToken(issued), lookFirst),
    verifyTokenToRevoke: verifyAfterLook(createVerifyTokenToRevoke(issued), lookFirst),
  }
}

/** Accounts and sessions: what a person uses. */
function makeAccounts(base: Base, stores: Stores, { revocationsApplied }: RevocationParts, { issue }: TokenParts) {
  const { config, keyring, now, instrumentation, limiter, database } = base
  const { accounts, sessions, clients, auditStore, boundedInsert, noteRefusal } = stores
  const passwords = createPasswords(hashCost(config), hashGate(config), instrumentation.gateWaited)
  const attempts = createPasswordAttempts({ limiter, isKnownNetwork: createIsKnownNetwork({ sessions, now }) })
  const rules = { minLength: config.PASSWORD_MIN_LENGTH, isCommon: isCommonPassword }
  const limits = sessionLimits(config, database)
  const refreshKeys = { current: () => keyring.refreshKeys() }
  const emailVerifiedClaim = config.EMAIL_VERIFIED_CLAIM === 'on'
  const issuePair = createIssuePair({ issue, refreshKeys, emailVerifiedClaim })
  const passwordPair = instrumentation.issuing('password', issuePair)
  const forRefresh = instrumentation.issuing('refresh_token', issuePair)
  const observe = instrumentation.refreshed
  const beganBeforeUpdate = createBeganBeforeUpdate(database)
  const revoking = { revocationsApplied, now }
  const confirming = { accounts, passwords, attempts, limiter, auditStore, boundedInsert, now }
  const confirmPassword = createConfirmPassword(confirming)
  const administer = createAdminister({ accounts, noteRefusal, ...revoking })
  const endSession = createEndSession({ sessions, ...revoking })
  const recovering = { ...base, ...confirming, ...rules, ...revoking, confirmPassword, noteRefusal, administer }
  return {
    passwords,
    ...createRecoveryParts({ ...recovering, keys: refreshKeys.current }),
    refreshKeys,
    limits,
    register: createRegister({ accounts, passwords, ...rules, limiter, now }),
    passwordPair,
    ownAccount: createOwnAccount({
      accounts,
      passwords,
      confirmPassword,
      boundedInsert,
      ...rules,
      setPassword: (password, now, audit) => sessions.changePassword(password, { now, limits, audit }),
      isLive: async (...session) => (await sessions.tokenSubject(...session)) !== undefined,
      ...revoking,
    }),
    administer,
    administerSessions: createAdministerSessions({ accounts: administer, list: sessions.list, endSession, now }),
    login: createLogin({ ...confirming, ...revoking, sessions, limits, issuePair: passwordPair }),
    reauthenticate: createReauthenticate({ confirmPassword, sessions, limits, now }),
    refresh: createRefresh({ sessions, refreshKeys, limits, issuePair: forRefresh, limiter, observe, ...revoking }),
    hasCookieTransport: createHasCookieTransport(database),
    predatesHostCookie: createPredatesHostCookie({ beganBeforeUpdate, refreshKeys }),
    endSession,
    live: createLiveCheck({ sessions, clients, now }),
  }
}

/** Clients and the OAuth endpoints: what a machine uses. */
function makeClients(
  base: Base,
  stores: Stores,
  revocationParts: RevocationParts,
  tokenParts: TokenParts,
  accountParts: AccountParts,
) {
  const { config, now, instrumentation, limiter, auditLog } = base
  const { clients, sessions, tokenStore: tokens, boundedInsert, noteRefusal } = stores
  const { issue, verifyIssuedToken, verifyTokenToRevoke } = tokenParts
  const { refresh, refreshKeys } = accountParts
  const { revocationsApplied } = revocationParts
  const { AUDIENCE: audience, ISSUER: issuer, CLOCK_SKEW: skew } = config
  const assertions = { audience: [issuer, tokenEndpointOf(issuer)], skew }
  const verifyAssertion = createVerifyAssertion({ keys: createClientKeys(), policy: assertions, now })
  const revoking = { revocationsApplied, now }
  const forClient = instrumentation.issuing('client_credentials', issue)
  return {
    administerClients: createAdministerClients({ clients, audience, noteRefusal, ...revoking }),
    authenticate: createAuthenticateClient({ clients, verifyAssertion, boundedInsert, now }),
    clientCredentials: createClientCredentialsGrant({ issue: forClient, audience, issuer, limiter, auditLog }),
    refreshGrant: createRefreshGrant({ sessions, refreshKeys, refresh, audience, issuer, now }),
    revoke: createRevoke({ ...revoking, sessions, refreshKeys, tokens, verifyIssuedToken: verifyTokenToRevoke }),
    introspect: createIntrospect({ verifyIssuedToken, revocationsApplied }),
  }
}
