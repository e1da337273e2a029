/**
 * Settings: each is declared once (`settings.ts`), read from the environment here and nowhere else, and checked before
 * anything starts. Also bounds that several folders share (`ceilings.ts`). Defaults of a single module stay in that
 * module.
 */

import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import type { Static, TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { OperatorError } from '../errors/app-error.ts'
import { MAX_AUDIENCE_BYTES } from './ceilings.ts'
import { isLocalDatabase, MAX_WORKERS } from './setting-formats.ts'
import { Settings } from './settings.ts'
import { isTypo } from './typo.ts'

type Read = Static<typeof Settings>
export type Config = Readonly<
  Omit<Read, 'ISSUER' | 'AUDIENCE' | 'WORKERS' | 'DOCS' | 'DATABASE_TLS' | 'APP_URL' | 'MAIL_FROM'> & {
    ISSUER: string
    APP_URL: string
    MAIL_FROM: string
    DATABASE_TLS: NonNullable<Read['DATABASE_TLS']>
    WORKERS: number
    DOCS: 'on' | 'off'
    AUDIENCE: readonly [string, ...string[]]
    /** Whether OpenTelemetry's standard variables ask for traces. Its SDK reads the rest of them itself. */
    TRACES: boolean
  }
>

/**
 * Reads and checks every setting.
 *
 * @param options.env the environment
 * @param options.port replaces PORT: the free port that was found for PORT=0
 * @param options.serves true for a server, which needs an ISSUER in production; scripts go without
 * @returns the settings under their own names, frozen, with every default filled in
 * @throws OperatorError that names every bad setting at once
 */
export function loadConfig({
  env = process.env,
  port,
  serves = false,
}: {
  env?: NodeJS.ProcessEnv
  port?: number
  serves?: boolean
} = {}): Config {
  const problems: string[] = misspelled(env)
  const values: Record<string, unknown> = {}

  for (const [name, schema] of Object.entries(Settings.properties)) {
    const text = env[name]
    const value = text === undefined ? schema.default : parse(text, schema)
    if (value === undefined) continue
    if (!Value.Check(schema, value)) problems.push(complaint(name, text, schema))
    values[name] = value
  }
  if (serves && values.NODE_ENV === 'production' && values.ISSUER === undefined)
    problems.push('ISSUER is not set: NODE_ENV=production needs the URL by which clients reach this server')
  const workers = countWorkers(values.WORKERS)
  if (workers > 1 && values.DATABASE_URL === 'sqlite::memory:')
    problems.push(`WORKERS: ${workers} processes can't share DATABASE_URL=sqlite::memory: (take a file, or WORKERS=1)`)
  const audienceBytes = Buffer.byteLength(JSON.stringify(values.AUDIENCE ?? []))
  if (audienceBytes > MAX_AUDIENCE_BYTES)
    problems.push(
      `AUDIENCE: takes ${audienceBytes} bytes as a JSON list, and at most ${MAX_AUDIENCE_BYTES} fit into a token`,
    )
  problems.push(...mailProblems(values))
  if (problems.length > 0)
    throw new OperatorError(`settings: ${problems.join('; ')}`, { hint: 'scripts/README.md lists the settings' })

  const read = { ...(values as Read), ...(port !== undefined && { PORT: port }) }
  const issuer = read.ISSUER ?? defaultIssuer(read.HOST, read.PORT)
  const audience = (read.AUDIENCE ?? [issuer]) as [string, ...string[]]
  const docs = read.DOCS ?? (read.NODE_ENV === 'production' ? ('off' as const) : ('on' as const))
  const tls = read.DATABASE_TLS ?? (isLocalDatabase(read.DATABASE_URL) ? ('off' as const) : ('require' as const))
  const filledIn = {
    ISSUER: issuer,
    AUDIENCE: audience,
    DATABASE_TLS: tls,
    WORKERS: workers,
    DOCS: docs,
    TRACES: asksForTraces(env),
    ...mailDefaults(read, issuer),
  }
  return Object.freeze({ ...read, ...filledIn })
}

/** Settings of messages that do not go together. */
function mailProblems(values: Record<string, unknown>): string[] {
  const production = values.NODE_ENV === 'production'
  const problems: string[] = []
  if (production && values.MAIL_URL !== undefined && values.APP_URL === undefined)
    problems.push('APP_URL is not set: messages (MAIL_URL) need the URL of the application that their links lead to')
  if (String(values.MAIL_URL).startsWith('https:') && values.MAIL_WEBHOOK_SECRET_FILE === undefined)
    problems.push('MAIL_WEBHOOK_SECRET_FILE is not set: the webhook of MAIL_URL needs a secret that signs its calls')
  if (production && values.REGISTRATION === 'verified' && values.MAIL_URL === undefined)
    problems.push('REGISTRATION: `verified` sends messages, and MAIL_URL is not set')
  const { NOTICES: notices } = values
  if (Array.isArray(notices) && notices.length > 1 && notices.includes('none'))
    problems.push('NOTICES: `none` stands alone, or is left out')
  return problems
}

function mailDefaults(read: Read, issuer: string) {
  const mailUrl = read.MAIL_URL ?? (read.NODE_ENV === 'production' ? undefined : 'file:./data/outbox')
  return {
    ...(mailUrl !== undefined && { MAIL_URL: mailUrl }),
    MAIL_FROM: read.MAIL_FROM ?? `no-reply@${new URL(issuer).hostname}`,
    APP_URL: read.APP_URL ?? read.CORS_ORIGINS?.[0] ?? issuer,
  }
}

function countWorkers(asked: unknown): number {
  return asked === 'auto' ? Math.min(availableParallelism(), MAX_WORKERS) : Number(asked)
}

const TRACE_VARIABLES = [
  'OTEL_SDK_DISABLED',
  'OTEL_TRACES_EXPORTER',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
]

/** OpenTelemetry's specification treats an empty variable as unset. */
function asksForTraces(env: NodeJS.ProcessEnv): boolean {
  const [disabled, exporter, ...endpoints] = TRACE_VARIABLES.map((name) => env[name]?.trim() ?? '')
  if (disabled?.toLowerCase() === 'true') return false
  return exporter === '' ? endpoints.some((endpoint) => endpoint !== '') : exporter !== 'none'
}

function parse(text: string, schema: TSchema): unknown {
  if (schema.type === 'integer') return /^\d{1,9}$/.test(text) ? Number(text) : text
  if (schema.type === 'array') return text.split(',').map((item) => item.trim())
  return text
}

function complaint(name: string, text: string | undefined, schema: TSchema): string {
  if (text === '') return `${name} is empty (unset it to get the default)`
  const slash = slashAtTheEnd(text ?? '', schema)
  if (slash !== undefined) return `${name}: ${JSON.stringify(slash)} may not end with a slash`
  const shown = schema.secret === true ? 'its value' : JSON.stringify(text?.slice(0, 80))
  const choices = schema.anyOf?.map((choice: { const: string }) => choice.const).join(' | ')
  return `${name}: ${shown} is not accepted (${choices ?? schema.description})`
}

/** The first URL of a refused value that would be good without the slash at its end. */
function slashAtTheEnd(text: string, schema: TSchema): string | undefined {
  const item: TSchema = schema.items ?? schema
  if (item.format !== 'issuer' && item.format !== 'origin') return undefined
  return [parse(text, schema)]
    .flat()
    .map(String)
    .find((url) => url.endsWith('/') && Value.Check(item, url.replace(/\/+$/, '')))
}

/** A misspelled setting would silently leave the default in force: `ACCES_TOKEN_TTL=60` must stop the boot. */
function misspelled(env: NodeJS.ProcessEnv): string[] {
  const names = [...Object.keys(Settings.properties), ...TRACE_VARIABLES]
  return Object.keys(env).flatMap((given) => {
    if (names.includes(given)) return []
    const meant = names.find((name) => name.length >= 6 && name !== 'NODE_ENV' && isTypo(given.toUpperCase(), name))
    return meant === undefined ? [] : [`${given} is no setting (${meant}?)`]
  })
}

function defaultIssuer(host: string, port: number): string {
  const wildcard = host === '0.0.0.0' || host === '::'
  const name = wildcard ? 'localhost' : isIP(host) === 6 ? `[${host}]` : host
  return `http://${name}:${port}`
}
