import type { FastifyBaseLogger } from 'fastify'

type Line = (...line: unknown[]) => void
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

interface ParentLogger extends FastifyBaseLogger {
  isLevelEnabled(level: string): boolean
}

/**
 * The logger of one request: a child of the server's logger, made when the first line is really written. Fastify makes
 * one for every request, but most requests that only verify a token log nothing, and making a pino child costs more
 * than looking up the token in the cache.
 */
export function requestLogger(parent: FastifyBaseLogger, bindings: object): FastifyBaseLogger {
  return new RequestLogger(parent as ParentLogger, bindings) as unknown as FastifyBaseLogger
}

class RequestLogger {
  readonly #parent: ParentLogger
  readonly #bindings: object
  #child: FastifyBaseLogger | undefined

  constructor(parent: ParentLogger, bindings: object) {
    this.#parent = parent
    this.#bindings = bindings
  }

  get level(): string {
    return this.#parent.level
  }

  isLevelEnabled(level: string): boolean {
    return this.#parent.isLevelEnabled(level)
  }

  child(bindings: object, options?: object): FastifyBaseLogger {
    return this.#made().child(bindings as never, options as never)
  }

  silent(): void {}

  write(level: (typeof LEVELS)[number], line: unknown[]): void {
    if (this.#parent.isLevelEnabled(level)) (this.#made()[level] as Line)(...line)
  }

  #made(): FastifyBaseLogger {
    this.#child ??= this.#parent.child(this.#bindings as never)
    return this.#child
  }
}

for (const level of LEVELS) {
  Object.defineProperty(RequestLogger.prototype, level, {
    value(this: RequestLogger, ...line: unknown[]) {
      this.write(level, line)
    },
  })
}
