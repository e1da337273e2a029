import { randomBytes } from 'node:crypto'
import type { Server } from 'node:http'
import { type FastifyHttpOptions, LogController } from 'fastify'
import type { Config } from '../config/config.ts'
import { earlyErrorOptions, type Refused } from './error-handler.ts'
import { requestLogger } from './request-logger.ts'

/** Limits and time-outs, each set on purpose. Milliseconds and bytes. */
export function serverOptions(config: Config, refused?: Refused) {
  return {
    ...earlyErrorOptions(refused),
    bodyLimit: 16 * 1024,
    requestTimeout: 10_000, // a request that arrives slower than this is cut (Slowloris)
    connectionTimeout: 60_000, // nothing moves either way: a client that died silently, or does not read its response
    // Above the usual 60 s of load balancers, so that we are never the one who closes a reused connection.
    keepAliveTimeout: 65_000,
    maxRequestsPerSocket: 0, // load balancers reuse connections for ever; limits count requests, not connections
    // These time-outs also cut a client that connects and sends nothing at all.
    http: { maxHeaderSize: 16 * 1024, headersTimeout: 10_000, connectionsCheckingInterval: 1000 },
    forceCloseConnections: 'idle',
    return503OnClosing: false, // requests that arrive while others finish are answered too: the store closes last
    trustProxy: config.TRUST_PROXY ?? false,
    genReqId: requestIds(),
    // request-log.ts writes the log lines of requests.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    childLoggerFactory: requestLogger,
    routerOptions: { maxParamLength: 128 },
    // Our schemas are TypeBox values, whose form the type checker knows. Validating them against the meta-schema as
    // well takes a tenth of the boot.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: true, validateSchema: false } },
  } satisfies FastifyHttpOptions<Server>
}

/**
 * Request ids: unique per process and cheap, a random start and a counter. Never taken from the client, who could forge
 * log lines with them.
 */
function requestIds(): () => string {
  const process = randomBytes(6).toString('base64url')
  let count = 0
  return () => {
    count += 1
    return `${process}-${count.toString(36)}`
  }
}
