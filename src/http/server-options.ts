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
    requestTimeout: 10_000, // a request that trickles in slower is cut (Slowloris)
    connectionTimeout: 60_000, // nothing moves either way: a client that died without a word, or does not read its answer
    keepAliveTimeout: 65_000, // above the usual 60 s of load balancers, so that we are never the one who closes a reused connection
    maxRequestsPerSocket: 0, // load balancers reuse theirs for ever; limits count requests, not connections
    http: { maxHeaderSize: 16 * 1024, headersTimeout: 10_000, connectionsCheckingInterval: 1000 }, // also for who says nothing at all
    forceCloseConnections: 'idle',
    return503OnClosing: false, // what arrives while others finish is answered like them: the store closes last
    trustProxy: config.TRUST_PROXY ?? false,
    genReqId: requestIds(),
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }), // request-log.ts writes the lines
    childLoggerFactory: requestLogger,
    routerOptions: { maxParamLength: 128 },
    // Our schemas are TypeBox values, whose form the type checker knows: holding them against the meta-schema takes a tenth of the boot.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: true, validateSchema: false } },
  } satisfies FastifyHttpOptions<Server>
}

/** Unique per process and cheap: a random start and a counter. Never taken from the client, who could forge log lines with it. */
function requestIds(): () => string {
  const process = randomBytes(6).toString('base64url')
  let count = 0
  return () => {
    count += 1
    return `${process}-${count.toString(36)}`
  }
}
