import { type TSchema, Type } from '@sinclair/typebox'
import { MAX_ACCESS_TOKEN_TTL_SECONDS, MAX_CLOCK_SKEW_SECONDS } from './ceilings.ts'
import { limitSettings } from './limit-settings.ts'
import { messageSettings } from './message-settings.ts'
import { registerSettingFormats } from './setting-formats.ts'

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

registerSettingFormats()

/** Every setting, once. A test compares the list in scripts/README.md with this schema. */
export const Settings = Type.Object({
  NODE_ENV: oneOf(['development', 'test', 'production'], {
    default: 'development',
    description: 'In `production` the server never makes a key at boot, and logs are JSON',
  }),
  HOST: Type.String({ minLength: 1, maxLength: 255, default: '127.0.0.1', description: 'Address the API listens on' }),
  PORT: Type.Integer({
    minimum: 0,
    maximum: 65535,
    default: 3000,
    description: 'Port of the API, 0..65535; with 0 the system picks a free port and the log says which',
  }),
  WORKERS: Type.String({
    format: 'workers',
    default: '1',
    description: 'Number of processes that share the work, 1..64; `auto` is one per core',
  }),
  ISSUER: Type.Optional(
    Type.String({
      format: 'issuer',
      maxLength: 255,
      description:
        '`iss` of every token: an http(s) URL without query, fragment or slash at the end, and without ' +
        '`*`, `:`, brackets or `//` in its path. Production needs it. Default elsewhere: made from HOST and PORT',
    }),
  ),
  AUDIENCE: Type.Optional(
    list(Type.String({ minLength: 1, maxLength: 255 }), {
      maxItems: 8,
      description: '`aud` of every token, comma-separated, at most 8 and 1024 bytes. Default: the issuer',
    }),
  ),
  ACCESS_TOKEN_TTL: seconds(60, MAX_ACCESS_TOKEN_TTL_SECONDS, {
    default: 600,
    description: 'Lifetime of an access token, 60..900 s',
  }),
  ACCESS_TOKEN_TTL_SPREAD: Type.Integer({
    minimum: 0,
    maximum: 20,
    default: 5,
    description:
      'How much shorter an access token may live, at random, 0..20 %: clients that logged in together do not ' +
      'refresh together',
  }),
  CLOCK_SKEW: seconds(0, MAX_CLOCK_SKEW_SECONDS, {
    default: 5,
    description: 'How far the clocks of two servers may differ, 0..60 s',
  }),
  JWKS_MAX_AGE: seconds(1, 86_400, {
    default: 300,
    description: 'How long verifiers may cache the public signing keys (JWKS), 1..86400 s',
  }),
  KEYS_DIR: Type.String({ minLength: 1, default: './keys', description: 'Folder of the keyring and the private keys' }),
  KEY_PASSPHRASE_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'File whose first line is the passphrase of the private keys. Default: no encryption',
    }),
  ),
  DATABASE_URL: Type.String({
    format: 'database-url',
    default: 'sqlite:./data/signet.db',
    description:
      'Which database to use: `sqlite:PATH`, `sqlite::memory:` or `postgres://user:password@host/name`, with every ' +
      'character of user and password but letters, digits and `-._~` percent-encoded',
    secret: true,
  }),
  DATABASE_POOL_SIZE: Type.Integer({
    minimum: 1,
    maximum: 200,
    default: 10,
    description: 'Connections to PostgreSQL that one server opens for its queries, 1..200',
  }),
  DATABASE_STATEMENT_TIMEOUT: seconds(1, 60, {
    default: 5,
    description: 'A PostgreSQL statement that takes longer is cancelled, 1..60 s',
  }),
  DATABASE_TLS: Type.Optional(
    oneOf(['off', 'require', 'verify'], {
      description:
        'TLS on connections to PostgreSQL: `require` encrypts, `verify` also checks the certificate. ' +
        'Default: off for a database on this machine, else require',
    }),
  ),
  DATABASE_CA_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'PEM file of the authority that `DATABASE_TLS=verify` trusts. Default: those of Node',
    }),
  ),
  SESSION_IDLE_TTL: seconds(300, 31_536_000, {
    default: 2_592_000,
    description: 'A session that is not refreshed for this time ends, 300..31536000 s (the default is 30 days)',
  }),
  SESSION_MAX_TTL: seconds(300, 31_536_000, {
    default: 7_776_000,
    description: 'A session ends this long after its login, even in use, 300..31536000 s (the default is 90 days)',
  }),
  MAX_SESSIONS_PER_ACCOUNT: Type.Integer({
    minimum: 1,
    maximum: 1000,
    default: 20,
    description: 'Sessions of one account, 1..1000; one login more ends the one that was unused for longest',
  }),
  REFRESH_GRACE: seconds(0, 60, {
    default: 10,
    description: 'How long a refresh token that was just replaced still gets the newest one, 0..60 s; 0 = never',
  }),
  REFRESH_RETRY: seconds(0, 31_536_000, {
    default: 604_800,
    description: 'How long a client that lost the answer of a refresh may ask again, 0..31536000 s; 0 = never',
  }),
  REVOCATION_MAX_STALENESS: seconds(0, 3600, {
    default: 60,
    description: 'Age of the revocation set above which REVOCATION_STALE_POLICY decides, 0..3600 s; 0 = never',
  }),
  REVOCATION_STALE_POLICY: oneOf(['accept', 'reject'], {
    default: 'accept',
    description: 'What to do with tokens above REVOCATION_MAX_STALENESS: `accept` them, or `reject` them with 503',
  }),
  FEED_TTL: seconds(10, 3600, {
    default: 60,
    description: 'How long a copy of the revocation feed counts as fresh, 10..3600 s',
  }),
  FEED_MAX_WAITERS: Type.Integer({
    minimum: 0,
    maximum: 100_000,
    default: 1000,
    description: 'Long polls of the revocation feed at a time, 0..100000; further ones are answered at once',
  }),
  AUDIT_RETENTION: seconds(86_400, 315_360_000, {
    default: 31_536_000,
    description: 'How long audit rows are kept, 86400..315360000 s (the default is one year)',
  }),
  REGISTRATION: oneOf(['open', 'verified', 'closed'], {
    default: 'open',
    description:
      '`verified`: an account works once its address is confirmed, which needs messages; `closed` switches ' +
      '`POST /v1/accounts` off',
  }),
  PASSWORD_MIN_LENGTH: Type.Integer({
    minimum: 8,
    maximum: 64,
    default: 15,
    description: 'Fewest characters of a new password, 8..64',
  }),
  PASSWORD_HASH_MEMORY: Type.Integer({
    minimum: 19_456,
    maximum: 1_048_576,
    default: 19_456,
    description: 'Memory for one argon2id hash of a password in KiB, 19456..1048576',
  }),
  PASSWORD_HASH_PASSES: Type.Integer({
    minimum: 2,
    maximum: 16,
    default: 2,
    description: 'argon2id passes per hash, 2..16',
  }),
  PASSWORD_QUEUE: Type.Integer({
    minimum: 1,
    maximum: 10_000,
    default: 64,
    description: 'Passwords that may wait to be hashed, 1..10000; further requests with a password get 503',
  }),
  ...messageSettings,
  ...limitSettings,
  SHUTDOWN_DELAY: seconds(0, 300, {
    default: 0,
    description: 'How long `/health/ready` answers 503 after SIGTERM before the server stops listening, 0..300 s',
  }),
  LOG_LEVEL: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    default: 'info',
    description: 'Lowest level of the log lines that are written, as in pino',
  }),
  METRICS_PORT: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 65535,
      description: 'Port of `GET /metrics`, 0..65535; with 0 the system picks one, see the log. Default: no metrics',
    }),
  ),
  METRICS_HOST: Type.String({
    minLength: 1,
    maxLength: 255,
    default: '127.0.0.1',
    description: 'Address that `GET /metrics` listens on. It asks for no token: never use a public address',
  }),
  DOCS: Type.Optional(
    oneOf(['on', 'off'], {
      description: 'The page `/docs`. `/openapi.json` is always there. Default: off in production, else on',
    }),
  ),
  CORS_ORIGINS: Type.Optional(
    list(Type.String({ format: 'origin' }), {
      description: 'Browser origins that may call the API, comma-separated: `https://app.example.com`. Default: none',
    }),
  ),
  SCOPES_SUPPORTED: Type.Optional(
    list(Type.String({ format: 'service-scope', maxLength: 255 }), {
      maxItems: 100,
      description:
        'Scopes of your services that the server metadata names beside its own, comma-separated. It allows nothing: ' +
        'what a client may have is in its registration. Default: none',
    }),
  ),
  TRUST_PROXY: Type.Optional(
    list(Type.String({ format: 'proxy' }), {
      description:
        'Proxies whose `X-Forwarded-*` headers are believed, comma-separated: addresses, CIDR ' +
        'ranges, `loopback`, `linklocal`, `uniquelocal`. Default: none',
    }),
  ),
})
