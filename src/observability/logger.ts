import { type DestinationStream, type Logger, pino, stdSerializers, stdTimeFunctions } from 'pino'

// Members that hold a secret, at any depth of a log line. Our code logs neither bodies nor headers; this is the last
// defence. The search is our own: pino's `redact` with wildcards costs more per line than everything else that a
// verified request does.
const SECRET: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'set-cookie',
  'password',
  'current_password',
  'new_password',
  'access_token',
  'refresh_token',
  'token',
  'client_secret',
  'client_assertion',
])
const CENSORED = '[redacted]'
const MAX_DEPTH = 8

interface LoggerOptions {
  readonly level: string
  /** Lines for a person at a terminal, instead of JSON. */
  readonly readable: boolean
  /** Default: standard output, without buffering. */
  readonly destination?: DestinationStream
}

/** The log: one JSON object per line, times in UTC. */
export async function createLogger({ level, readable, destination }: LoggerOptions): Promise<Logger> {
  const stream = destination ?? (readable ? await prettyStream() : undefined)
  const options = {
    level,
    timestamp: stdTimeFunctions.isoTime,
    formatters: {
      level: (label: string) => ({ level: label }),
      bindings: (bindings: object) => censored(bindings, 0) as Record<string, unknown>,
      log: (line: object) => censored(line, 0) as Record<string, unknown>,
    },
    serializers: { req: request, res: response, err: (error: Error) => censored({ ...stdSerializers.err(error) }, 0) },
  }
  return stream === undefined ? pino(options) : pino(options, stream)
}

/** The same value without secrets; copied only where it held one. */
function censored(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Error || depth > MAX_DEPTH) return value
  let copy: Record<string, unknown> | undefined
  for (const [name, member] of Object.entries(value)) {
    const clean = SECRET.has(name.toLowerCase())
      ? CENSORED
      : typeof member === 'object'
        ? censored(member, depth + 1)
        : member
    if (clean === member) continue
    copy ??= (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>
    copy[name] = clean
  }
  return copy ?? value
}

async function prettyStream(): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty') // production does not load it
  return pretty({
    colorize: true,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname',
    singleLine: true,
    sync: true,
  })
}

/** The path without its query: whatever a client puts there by mistake stays out of the log. */
function request(req: { method?: string; url?: string; ip?: string }) {
  return { method: req.method, path: req.url?.split('?', 1)[0]?.slice(0, 256), ip: req.ip }
}

function response(res: { statusCode?: number }) {
  return { status: res.statusCode }
}
