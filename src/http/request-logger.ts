import type { FastifyBaseLogger } from 'fastify'

type Line = (...line: unknown[]) => void
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

interface ParentLogger extends FastifyBaseLogger {
  isLevelEnabled(level: string): boolean
}

/**
 * The logger of one request: a child of the server's, made at the first line that is really written. Fastify makes one for every
 * request, and a verified request mostly has nothing to say; a pino child costs more than the look-up of its token.
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
