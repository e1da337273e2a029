import { isIP } from 'node:net'
import { FormatRegistry, type Static, type TSchema, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { OperatorError } from './errors.ts'

/** No token lives longer, whatever a signer says: the ceiling of ACCESS_TOKEN_TTL, and what verifiers hold `exp - iat` against. */
export const MAX_ACCESS_TOKEN_TTL = 900

const list = <T extends TSchema>(item: T, options: object) =>
  Type.Array(item, { minItems: 1, uniqueItems: true, ...options })
const seconds = (minimum: number, maximum: number, options: object) => Type.Integer({ minimum, maximum, ...options })
const oneOf = <T extends string>(values: T[], options: object) =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    options,
  )

FormatRegistry.Set('issuer', isIssuer)
FormatRegistry.Set('origin', isOrigin)
FormatRegistry.Set('proxy', isProxyAddress)
FormatRegistry.Set('database-url', isDatabaseUrl)

/** Every setting, once. The README's table is held against this schema by a test. */
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
  ISSUER: Type.Optional(
    Type.String({
      format: 'issuer',
      description: '`iss` of every token: an http(s) URL without query or fragment. Default: made from host and port',
    }),
  ),
  AUDIENCE: Type.Optional(
    list(Type.String({ minLength: 1, maxLength: 255 }), {
      description: '`aud` of every token, comma-separated. Default: the issuer',
    }),
  ),
  ACCESS_TOKEN_TTL: seconds(60, MAX_ACCESS_TOKEN_TTL, {
    default: 600,
    description: 'Life of an access token, 60..900 s',
  }),
  CLOCK_SKEW: seconds(0, 60, { default: 5, description: 'How far two clocks may differ, 0..60 s' }),
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
    description: '`sqlite:PATH` or `sqlite::memory:`',
    secret: true,
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
  LOG_LEVEL: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    default: 'info',
    description: 'pino level',
  }),
  CORS_ORIGINS: Type.Optional(
    list(Type.String({ format: 'origin' }), {
      description: 'Browser origins that may call the API, comma-separated. Default: none',
    }),
  ),
  TRUST_PROXY: Type.Optional(
    list(Type.String({ format: 'proxy' }), {
      description:
        'Proxies whose `X-Forwarded-*` is believed: addresses, CIDR ranges, `loopback`, `linklocal`, `uniquelocal`. Default: none',
    }),
  ),
})

type Read = Static<typeof Settings>
export type Config = Readonly<
  Omit<Read, 'ISSUER' | 'AUDIENCE'> & { ISSUER: string; AUDIENCE: readonly [string, ...string[]] }
>

/**
 * Reads and checks every setting.
 *
 * @param options.env the environment
 * @param options.port takes the place of PORT: the free port that was found for PORT=0
 * @returns the settings under their own names, frozen; `ISSUER` and `AUDIENCE` filled in
 * @throws OperatorError that names every bad setting at once
 */
export function loadConfig({ env = process.env, port }: { env?: NodeJS.ProcessEnv; port?: number } = {}): Config {
  const problems: string[] = misspelled(env)
  const values: Record<string, unknown> = {}

  for (const [name, schema] of Object.entries(Settings.properties)) {
    const text = env[name]
    const value = text === undefined ? schema.default : parse(text, schema)
    if (value === undefined) continue
    if (!Value.Check(schema, value)) problems.push(complaint(name, text, schema))
    values[name] = value
  }
  if (problems.length > 0)
    throw new OperatorError(`settings: ${problems.join('; ')}`, { hint: 'the README has the table of settings' })

  const read = { ...(values as Read), ...(port !== undefined && { PORT: port }) }
  const issuer = read.ISSUER ?? defaultIssuer(read.HOST, read.PORT)
  return Object.freeze({ ...read, ISSUER: issuer, AUDIENCE: (read.AUDIENCE ?? [issuer]) as [string, ...string[]] })
}

function parse(text: string, schema: TSchema): unknown {
  if (schema.type === 'integer') return /^\d{1,9}$/.test(text) ? Number(text) : text
  if (schema.type === 'array') return text.split(',').map((item) => item.trim())
  return text
}

function complaint(name: string, text: string | undefined, schema: TSchema): string {
  if (text === '') return `${name} is empty (unset it to get the default)`
  const shown = schema.secret === true ? 'its value' : JSON.stringify(text?.slice(0, 80))
  const choices = schema.anyOf?.map((choice: { const: string }) => choice.const).join(' | ')
  return `${name}: ${shown} is not accepted (${choices ?? schema.description})`
}

/** A setting with a typing slip would silently leave its default in force: `ACCES_TOKEN_TTL=60` must not boot. */
function misspelled(env: NodeJS.ProcessEnv): string[] {
  const names = Object.keys(Settings.properties)
  return Object.keys(env).flatMap((given) => {
    if (names.includes(given)) return []
    const meant = names.find(
      (name) => name.includes('_') && name !== 'NODE_ENV' && oneSlipApart(given.toUpperCase(), name),
    )
    return meant === undefined ? [] : [`${given} is no setting (${meant}?)`]
  })
}

/** True when one inserted, dropped, changed or swapped character, or only letter case, separates the two. */
function oneSlipApart(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false
  let start = 0
  while (start < a.length && a[start] === b[start]) start += 1
  let end = 0
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end += 1
  const left = a.slice(start, a.length - end)
  const right = b.slice(start, b.length - end)
  return Math.max(left.length, right.length) <= 1 || (left.length === 2 && left === [...right].reverse().join(''))
}

function defaultIssuer(host: string, port: number): string {
  const wildcard = host === '0.0.0.0' || host === '::'
  const name = wildcard ? 'localhost' : isIP(host) === 6 ? `[${host}]` : host
  return `http://${name}:${port}`
}

function isIssuer(text: string): boolean {
  const url = URL.parse(text)
  return (
    url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' && !/[?#\s]/.test(text)
  )
}

function isOrigin(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text
}

/** Hop counts are refused: Fastify 5.12 trusts nothing then, and older ones could be spoofed. */
function isProxyAddress(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

function isDatabaseUrl(text: string): boolean {
  return /^sqlite:[^?\0]+$/.test(text)
}
