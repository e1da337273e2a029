import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'

// Members that hold a secret, wherever a log line carries them. Nothing of ours logs a body or a header; this is the last line.
const SECRET = [
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
]
const PLACES = ['', '*.', '*.*.', '*.*.*.']
const REDACTED = PLACES.flatMap((place) =>
  SECRET.map((name) => (place === '' ? bracket(name) : `${place.slice(0, -1)}${bracket(name)}`)),
)

interface LoggerOptions {
  readonly level: string
  /** Lines for a person in front of a terminal instead of JSON. */
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
    redact: { paths: REDACTED, censor: '[redacted]' },
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { req: request, res: response },
  }
  return stream === undefined ? pino(options) : pino(options, stream)
}

async function prettyStream(): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty') // nothing that production needs to load
  return pretty({
    colorize: true,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname',
    singleLine: true,
    sync: true,
  })
}

/** The address without its query: whatever a client puts there by mistake stays out of the log. */
function request(req: { method?: string; url?: string; ip?: string }) {
  return { method: req.method, path: req.url?.split('?', 1)[0]?.slice(0, 256), ip: req.ip }
}

function response(res: { statusCode?: number }) {
  return { status: res.statusCode }
}

function bracket(name: string): string {
  return `["${name}"]`
}
