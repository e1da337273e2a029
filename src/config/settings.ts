import { isIP } from 'node:net'
import { FormatRegistry, type TSchema, Type } from '@sinclair/typebox'
import { MAX_ACCESS_TOKEN_TTL_SECONDS, MAX_CLOCK_SKEW_SECONDS } from './ceilings.ts'
import { limitSettings } from './limit-settings.ts'

const list = <T extends TSchema>(item: T, options: object) =>
  Type.Array(item, { minItems: 1, uniqueItems: true, ...options })
const seconds = (minimum: number, maximum: number, options: object) => Type.Integer({ minimum, maximum, ...options })
const oneOf = <const T extends string>(values: readonly T[], options: object) =>
  Type.Unsafe<T>(
    Type.Union(
      values.map((value) => Type.Literal(value)),
      options,
    ),
  )

FormatRegistry.Set('issuer', isIssuer)
FormatRegistry.Set('origin', isOrigin)
FormatRegistry.Set('proxy', isProxyAddress)
FormatRegistry.Set('database-url', isDatabaseUrl)
FormatRegistry.Set('workers', isWorkers)

export const MAX_WORKERS = 64

/** Every setting, once. A test compares the list in scripts/README.md with this schema. */
export const Settings = Type.Object({
  NODE_ENV: oneOf(['development', 'test', 'production'], {
    default: 'development',
    description: 'In `production` keys are never made at boot and logs are JSON',
  }),
  HOST: Type.String({ minLength: 1, maxLength: 255, default: '127.0.0.1', description: 'Address to listen on' }),
  PORT: Type.Integer({
    minimum: 0,
    maximum: 65535,
    default: 3000,
    description: 'Port to listen on; 0 takes a free one, the log says which',
  }),
  WORKERS: Type.String({
    format: 'workers',
    default: '1',
    description: 'Processes that share the work, 1..64; `auto` is one per core',
  }),
  ISSUER: Type.Optional(
    Type.String({
      format: 'issuer',
      maxLength: 255,
      description: '`iss` of every token: an http(s) URL without query or fragment. Default: made from host and port',
    }),
  ),
  AUDIENCE: Type.Optional(
    list(Type.String({ minLength: 1, maxLength: 255 }), {
      maxItems: 8,
      description: '`aud` of every token, comma-separated. Default: the issuer',
    }),
  ),
  ACCESS_TOKEN_TTL: seconds(60, MAX_ACCESS_TOKEN_TTL_SECONDS, {
    default: 600,
    description: 'Life of an access token, 60..900 s',
  }),
  CLOCK_SKEW: seconds(0, MAX_CLOCK_SKEW_SECONDS, { default: 5, description: 'How far two clocks may differ, 0..60 s' }),
  JWKS_MAX_AGE: seconds(1, 86_400, {
    default: 300,
    description: 'How long verifiers may cache the JWKS, 1..86400 s',
  }),
  KEYS_DIR: Type.String({ minLength: 1, default: './keys', description: 'Folder of the keyring and the private keys' }),
  KEY_PASSPHRASE_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'File whose first line encrypts and decrypts the private keys. Default: not encrypted',
    }),
  ),
  DATABASE_URL: Type.String({
    format: 'database-url',
    default: 'sqlite:./data/signet.db',
    description: '`sqlite:PATH`, `sqlite::memory:` or `postgres://user:password@host/name`',
    secret: true,
  }),
  DATABASE_POOL_SIZE: Type.Integer({
    minimum: 1,
    maximum: 200,
    default: 10,
    description: 'PostgreSQL connections of one server',
  }),
  DATABASE_STATEMENT_TIMEOUT: seconds(1, 60, {
    default: 5,
    description: 'PostgreSQL statements are cut after so many seconds, 1..60',
  }),
  DATABASE_TLS: oneOf(['off', 'require', 'verify'], {
    default: 'off',
    description: 'PostgreSQL over TLS: `require` encrypts, `verify` also checks the certificate',
  }),
  DATABASE_CA_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'PEM of the authority that `DATABASE_TLS=verify` trusts. Default: those of Node',
    }),
  ),
  SESSION_IDLE_TTL: seconds(300, 31_536_000, {
    default: 2_592_000,
    description: 'A session unused for so long ends (30 d), 300..31536000 s',
  }),
  SESSION_MAX_TTL: seconds(300, 31_536_000, {
    default: 7_776_000,
    description: 'A session ends so long after its login whatever happens (90 d), 300..31536000 s',
  }),
  MAX_SESSIONS_PER_ACCOUNT: Type.Integer({
    minimum: 1,
    maximum: 1000,
    default: 20,
    description: 'One login more ends the session that was unused for longest',
  }),
  REFRESH_GRACE: seconds(0, 60, {
    default: 10,
    description: 'A refresh token that was just replaced gets the same successor again for so long, 0..60 s',
  }),
  REVOCATION_MAX_STALENESS: seconds(0, 3600, {
    default: 60,
    description: 'Age of the revocation set from which the policy below decides, 0..3600 s; 0 = never',
  }),
  REVOCATION_STALE_POLICY: oneOf(['accept', 'reject'], {
    default: 'accept',
    description: 'Whether tokens are still accepted then; `reject` answers 503',
  }),
  FEED_TTL: seconds(10, 3600, {
    default: 60,
    description: 'How long a copy of the revocation feed counts as fresh, 10..3600 s',
  }),
  FEED_MAX_WAITERS: Type.Integer({
    minimum: 0,
    maximum: 100_000,
    default: 1000,
    description: 'Long polls of the revocation feed at a time; beyond it they are answered at once',
  }),
  AUDIT_RETENTION: seconds(86_400, 315_360_000, {
    default: 31_536_000,
    description: 'Audit rows are kept for so long (1 y), 86400..315360000 s',
  }),
  REGISTRATION: oneOf(['open', 'closed'], {
    default: 'open',
    description: '`closed` switches `POST /v1/accounts` off',
  }),
  PASSWORD_MIN_LENGTH: Type.Integer({
    minimum: 8,
    maximum: 64,
    default: 15,
    description: 'Characters a new password needs, 8..64',
  }),
  PASSWORD_HASH_MEMORY: Type.Integer({
    minimum: 19_456,
    maximum: 1_048_576,
    default: 19_456,
    description: 'argon2id memory in KiB, 19456 or more',
  }),
  PASSWORD_HASH_PASSES: Type.Integer({ minimum: 2, maximum: 16, default: 2, description: 'argon2id passes, 2..16' }),
  PASSWORD_QUEUE: Type.Integer({
    minimum: 1,
    maximum: 10_000,
    default: 64,
    description: 'Logins that may wait for a free core before 503',
  }),
  ...limitSettings,
  SHUTDOWN_DELAY: seconds(0, 300, {
    default: 0,
    description: 'After SIGTERM `/health/ready` says 503 for so long before the server stops to listen, 0..300 s',
  }),
  LOG_LEVEL: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    default: 'info',
    description: 'pino level',
  }),
  METRICS_PORT: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 65535,
      description: 'Port of `GET /metrics`; 0 takes a free one, the log says which. Default: no metrics',
    }),
  ),
  METRICS_HOST: Type.String({
    minLength: 1,
    maxLength: 255,
    default: '127.0.0.1',
    description: 'Address of `GET /metrics`. Whoever reaches it may read it: never a public one',
  }),
  CORS_ORIGINS: Type.Optional(
    list(Type.String({ format: 'origin' }), {
      description: 'Browser origins that may call the API, comma-separated. Default: none',
    }),
  ),
  TRUST_PROXY: Type.Optional(
    list(Type.String({ format: 'proxy' }), {
      description:
        'Proxies whose `X-Forwarded-*` is believed: addresses, CIDR ranges, ' +
        '`loopback`, `linklocal`, `uniquelocal`. Default: none',
    }),
  ),
})

function isIssuer(text: string): boolean {
  const url = URL.parse(text)
  return (
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    !/[?#\s]/.test(text) &&
    !text.endsWith('/') && // `<issuer>/.well-known/…` would have two slashes
    [text, `${text}/`].includes(url.href)
  )
}

function isWorkers(text: string): boolean {
  return text === 'auto' || (/^[1-9]\d?$/.test(text) && Number(text) <= MAX_WORKERS)
}

function isOrigin(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text
}

/** Hop counts are refused: Fastify 5.12 trusts no proxy then, and older versions could be spoofed. */
function isProxyAddress(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

function isDatabaseUrl(text: string): boolean {
  // SQLite would read `sqlite:file:…` as a URI, and `sqlite://host/…` as a path from the root.
  if (/^sqlite:(?!file:)(?!\/\/[^/])[^?\0]+$/.test(text)) return true
  const url = URL.parse(text)
  return url !== null && /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== '' && url.pathname.length > 1
}
