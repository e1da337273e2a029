import './compile-once.ts'
import './quick-derivations.ts'
import './quick-keys.ts'
import './quick-threads.ts'
import type { KeyObject } from 'node:crypto'
import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import Fastify, { type RouteOptions } from 'fastify'
import type { Test } from 'tap'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { createPasswords, hashCost, hashGate } from '../../src/accounts/passwords.ts'
import { buildApp } from '../../src/app.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import { type Config, loadConfig } from '../../src/config/config.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openDatabase } from '../../src/db/open.ts'
import type { App } from '../../src/http/app-type.ts'
import { randomId } from '../../src/ids.ts'
import { makeFirstKey } from '../../src/keys/change-keyring.ts'
import type { KeysFolder } from '../../src/keys/keys-folder.ts'
import { type LiveKeyring, openLiveKeyring } from '../../src/keys/live-keyring.ts'
import { generatePrivateKey, storePrivateKey } from '../../src/keys/private-keys.ts'
import { createRevokedKeyStore } from '../../src/keys/revoked-key-store.ts'
import { keyTiming } from '../../src/keys/rotation.ts'
import type { Limiter } from '../../src/limits/limiter.ts'
import type { Instrumentation } from '../../src/observability/instrumentation.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { registerGuard } from '../../src/tokens/guard.ts'
import { PASSWORD, UNLIMITED } from './settings.ts'
import { temporaryFolder } from './temporary-folder.ts'

export { PASSWORD, temporaryFolder, UNLIMITED }

export interface TestServer {
  readonly app: App
  readonly config: Config
  readonly database: Database
  readonly keyring: LiveKeyring
  readonly folder: KeysFolder
  /** Everything that was logged. */
  readonly log: string[]
}

interface Options {
  readonly env?: Record<string, string>
  readonly now?: Clock
  /** Receives the measurements. Default: nothing is measured, as in a server without METRICS_PORT. */
  readonly instrumentation?: Instrumentation
  /** The limiter. Default: one in the app itself. */
  readonly limiter?: Limiter
  /** True for a signing key that no other app of this test file has. */
  readonly ownKey?: boolean
  /** Routes of a test, registered as an application developer would. */
  readonly routes?: (app: App) => void
  /** Called with every route of the server. */
  readonly onRoute?: (route: RouteOptions) => void
}

/**
 * Cost of a password hash in tests, far below what the settings allow: with the lowest cost allowed, every login of a
 * test takes 30 ms of processor time.
 */
const CHEAP_HASH_KIB = 64
const asksForCost = (env: Record<string, string>) => Object.keys(env).some((name) => name.startsWith('PASSWORD_HASH_'))

/**
 * The app as production builds it, except for cheaper password hashes, with its own keys folder and a database in
 * memory. It is closed with the test.
 */
export async function startApp(
  t: Test,
  { env = {}, now = systemClock, instrumentation, limiter, ownKey = false, routes, onRoute }: Options = {},
): Promise<TestServer> {
  const dir = await temporaryFolder(t)
  const config = {
    ...loadConfig({
      env: {
        NODE_ENV: 'test',
        KEYS_DIR: join(dir, 'keys'),
        DATABASE_URL: 'sqlite::memory:',
        MAIL_URL: `file:${join(dir, 'outbox')}`,
        ...UNLIMITED,
        ...env,
      },
    }),
    ...(!asksForCost(env) && { PASSWORD_HASH_MEMORY: CHEAP_HASH_KIB }),
  }
  const folder = { dir: config.KEYS_DIR, passphrase: undefined }
  if (!ownKey) await lendKeys(folder)
  await makeFirstKey(folder, now) // adopts the keys it finds
  const database = await openDatabase(config)
  t.teardown(() => database.close())
  await migrate(database, now)
  const keyring = await openLiveKeyring({
    folder,
    timing: keyTiming(config),
    ttl: config.ACCESS_TOKEN_TTL,
    now,
    store: createRevokedKeyStore(database),
    report: () => undefined,
  })
  const log: string[] = []
  const logger = await createLogger({
    level: config.LOG_LEVEL,
    readable: false,
    destination: { write: (line) => void log.push(line) },
  })
  const app = await buildApp({
    config,
    database,
    keyring,
    logger,
    now,
    deletionClock: now, // a test that moves its clock means it
    ...(instrumentation && { instrumentation }),
    ...(limiter && { limiter }),
    ...(onRoute && { onRoute }),
    routes(app) {
      holdErrorsToTheDocs(app)
      routes?.(app)
    },
  })
  t.teardown(() => app.close())
  const server = { app, config, database, keyring, folder, log }
  accountMakers.set(app, accountMaker(server, now))
  return server
}

const accountMakers = new WeakMap<App, (email: string) => Promise<string>>()
const hashes = new Map<string, Promise<string>>()

/**
 * An account as `POST /v1/accounts` makes it. All share one password hash, made once: hashing would be half of the
 * time of a test.
 */
function accountMaker({ config, database }: Pick<TestServer, 'config' | 'database'>, now: Clock) {
  return async (email: string) => {
    const cost = hashCost(config)
    const key = JSON.stringify(cost)
    if (!hashes.has(key)) hashes.set(key, createPasswords(cost, hashGate(config)).hash(PASSWORD))
    const account = { id: `acc_${randomId()}`, email, passwordHash: String(await hashes.get(key)), createdAt: now() }
    const source = { ip: null, userAgent: null, requestId: null }
    await createAccountStore(database).insert(
      { ...account, status: 'active', roles: [], tokenVersion: 1 },
      { event: 'account_registered', source, accountId: account.id },
    )
    return account.id
  }
}

/** Registers an account with the password of all tests. @returns its id */
export async function registered(app: App, email: string): Promise<string> {
  const make = accountMakers.get(app)
  if (make !== undefined) return make(email)
  const reply = await app.inject({ method: 'POST', url: '/v1/accounts', payload: { email, password: PASSWORD } })
  if (reply.statusCode !== 201) throw new Error(`register: ${reply.body}`)
  return reply.json().id
}

/**
 * Registers one route with this `config` behind the guard, as the real app does, without the rest of the app.
 *
 * @param route what stands beside `config`
 * @param configNames what else `config` may hold. Undefined: anything, as in an app of somebody else
 */
export async function bootsWith(t: Test, config: object, route = {}, configNames?: readonly string[]): Promise<void> {
  const app: App = Fastify()
  t.teardown(() => app.close())
  const verify = () => {
    throw new Error('nobody calls')
  }
  registerGuard(app, { verify, live: async () => undefined, now: systemClock, ...(configNames && { configNames }) })
  app.get('/mine', { ...route, config }, () => ({}))
  await app.ready()
}

let lent: Promise<KeyObject[]> | undefined

/** Two private keys for all apps of a test file, because making a key takes longer than most tests. */
async function lendKeys(folder: KeysFolder): Promise<void> {
  lent ??= Promise.all([generatePrivateKey(2048), generatePrivateKey(2048)])
  await mkdir(folder.dir, { recursive: true })
  for (const key of await lent) await storePrivateKey(folder, key)
}

type Responses = Record<string, { description: string }>
/** By route, its `config` and its schema: the document of an app costs as much as the app. */
const promises = new Map<string, Responses>()

function promisedBy(app: App, method: string, url: string, options: string): Responses {
  const key = `${method} ${url} ${options}`
  if (!promises.has(key)) {
    const path = app.swagger().paths?.[url.replace(/:(\w+)/g, '{$1}')] as Record<string, { responses: Responses }>
    promises.set(key, path?.[method.toLowerCase()]?.responses ?? {})
  }
  return promises.get(key) as Responses
}

/** Every error that any test gets from a documented route must be among those that /openapi.json promises for it. */
function holdErrorsToTheDocs(app: App): void {
  const seen = new Map<string, Responses>()
  app.addHook('onSend', (request, reply, payload, done) => {
    const { schema, config, url = '' } = request.routeOptions
    const isProblem = String(reply.getHeader('content-type')).startsWith('application/problem+json')
    const isOAuthError = url.startsWith('/oauth/') && reply.statusCode >= 400
    if (!(isProblem || isOAuthError) || request.is404 || schema?.hide) return done(null, payload)
    const { error, code = error } = JSON.parse(String(payload))
    const name = `${request.method} ${url}`
    const responses = seen.get(name) ?? promisedBy(app, request.method, url, JSON.stringify([config, schema]))
    seen.set(name, responses)
    const promised = responses[reply.statusCode]?.description ?? ''
    if (request.method === 'HEAD' || promised.includes(`\`${code}\``)) return done(null, payload)
    throw new Error(`${request.method} ${url} answered ${code}, which /openapi.json does not promise`)
  })
}

/** A fresh account that logs in through the front door. */
export async function newUser(app: App): Promise<{ id: string; email: string; token: string }> {
  const email = `${randomUUID()}@example.com`
  const id = await registered(app, email)
  const login = await app.inject({ method: 'POST', url: '/v1/login', payload: { email, password: PASSWORD } })
  if (login.statusCode !== 200) throw new Error(`login: ${login.body}`)
  return { id, email, token: login.json().access_token }
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
