import type { FastifyPluginCallback, FastifyRequest } from 'fastify'
import { OperatorError } from '../errors/app-error.ts'
import { VERSION } from '../version.ts'

export interface Traces {
  /** The Fastify plugin, to be registered before everything else. */
  readonly plugin: FastifyPluginCallback
  /** Sends the spans that were not sent yet. Never rejects, and takes at most two seconds. */
  close(): Promise<void>
}

/** The packages to install, in the same versions as in package.json. */
const PACKAGES = '@fastify/otel@^0.21.2 @opentelemetry/api@~1.9.1 @opentelemetry/sdk-node@^0.222.0'

/** How long sending the last spans may take: a collector that is down must not delay the end of the process. */
const FLUSH_TIMEOUT_MS = 2000

/**
 * Starts OpenTelemetry traces, configured by OpenTelemetry's standard variables, which the SDK reads itself (exporter,
 * sampler, propagators, resource). The packages are loaded only when the variables ask for traces: the SDK is as large
 * as the rest of the server, so it is not one of our dependencies.
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
      // The URL may contain anything, also a token by mistake. Like the log, a span carries the route and not the URL.
      span.setAttributes({ 'url.path': route, 'signet.request_id': request.id })
    },
  })
  const sdk = new NodeSDK({
    resource: resources.resourceFromAttributes({ 'service.name': 'signet', 'service.version': VERSION }),
    instrumentations: [fastify],
    // Traces only: by default the SDK would send logs and metrics of its own as well.
    metricReaders: [],
    logRecordProcessors: [],
  })
  sdk.start()
  return {
    plugin: fastify.plugin() as FastifyPluginCallback,
    async close() {
      const timeout = new Promise<void>((resolve) => setTimeout(resolve, FLUSH_TIMEOUT_MS).unref())
      await Promise.race([sdk.shutdown().catch(() => undefined), timeout])
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
