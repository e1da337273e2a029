import type { FastifyPluginCallback, FastifyRequest } from 'fastify'
import { OperatorError } from '../errors/app-error.ts'
import { VERSION } from '../version.ts'

export interface Traces {
  /** For the app, before everything else that it registers. */
  readonly plugin: FastifyPluginCallback
  /** Sends what is still held back. Never rejects, and never takes long. */
  close(): Promise<void>
}

/** What `npm install` needs to hear; the same versions as in package.json. */
const PACKAGES = '@fastify/otel@^0.21.2 @opentelemetry/api@~1.9.1 @opentelemetry/sdk-node@^0.222.0'

/** Milliseconds for the last spans: a collector that is gone must not hold the end of the process up. */
const FLUSH_TIMEOUT_MS = 2000

/**
 * OpenTelemetry traces, set up by its standard variables, which the SDK reads itself (exporter, sampler, propagators, resource).
 * Loaded only when they ask for it: the SDK is as large as all the rest of a server, and so it is no dependency of ours.
 *
 * @throws OperatorError when the packages are not installed
 */
export async function startTraces(): Promise<Traces> {
  const { NodeSDK, resources } = await installed('@opentelemetry/sdk-node', () => import('@opentelemetry/sdk-node'))
  const { FastifyOtelInstrumentation } = await installed('@fastify/otel', () => import('@fastify/otel'))
  const fastify = new FastifyOtelInstrumentation({
    instrumentHooks: false, // one span for the request and one for its handler, not one for each of two dozen hooks
    recordExceptions: false, // stack traces belong to the log, where the request id finds them
    requestHook: (span, request) => {
      const { method, route } = described(request)
      span.updateName(`${method} ${route}`)
      // The address as it was sent may hold anything, a token by mistake too: it leaves the process no more than it gets into the log.
      span.setAttributes({ 'url.path': route, 'signet.request_id': request.id })
    },
  })
  const sdk = new NodeSDK({
    resource: resources.resourceFromAttributes({ 'service.name': 'signet', 'service.version': VERSION }),
    instrumentations: [fastify],
    // Traces and nothing else: without a word the SDK would send logs and metrics of its own as well.
    metricReaders: [],
    logRecordProcessors: [],
  })
  sdk.start()
  return {
    plugin: fastify.plugin() as FastifyPluginCallback,
    async close() {
      const patience = new Promise<void>((resolve) => setTimeout(resolve, FLUSH_TIMEOUT_MS).unref())
      await Promise.race([sdk.shutdown().catch(() => undefined), patience])
    },
  }
}

function described({ method, routeOptions }: FastifyRequest): { method: string; route: string } {
  return { method, route: routeOptions.url ?? 'unknown' }
}

async function installed<Module>(name: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new OperatorError(`traces: OTEL_* settings ask for them, and ${name} is not installed`, {
      cause,
      hint: `npm install ${PACKAGES}, or unset OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_ENDPOINT`,
    })
  }
}
