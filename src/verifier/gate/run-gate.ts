import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { failure } from '../../http/bounded-fetch.ts'
import type { Verifier, VerifierEvent, VerifierOptions } from '../exports.ts'
import { nodePlatform } from '../platform/node-platform.ts'
import { makeVerifier } from '../verifier.ts'
import { createGate, type Gate } from './gate.ts'
import { limitedReport } from './limited-report.ts'
import { metricsText } from './metrics-text.ts'
import { createMirror } from './mirror.ts'
import type { GateSettings } from './settings.ts'

/** How long requests may take to come in: a gateway is close by. */
const SERVER_OPTIONS = { keepAliveTimeout: 75_000, headersTimeout: 10_000, requestTimeout: 10_000 }
/**
 * Milliseconds after which a connection is cut where nothing moves either way: whoever does not read its answer would
 * keep it in memory, and an answer of the mirror can be long. It is above the 30 seconds of a long poll.
 */
const STALLED_MS = 60_000
/** From one try to get the keys to the next, before the first success. */
const RETRY_MS = 1000

export interface RunningGate {
  /** Where gateways ask. */
  readonly url: string
  /** Undefined without METRICS_PORT. */
  readonly metricsUrl: string | undefined
  /** Where other services follow; undefined without MIRROR. */
  readonly mirrorUrl: string | undefined
  /** Ends: requests that are under way are answered first. */
  close(): Promise<void>
}

/**
 * Starts the gate. It listens at once; until the keys are there it answers 503. It is ready when revocations are there,
 * too: what it answers before is decided by `onStale`.
 *
 * @param log gets what happened: one object for each line
 * @throws TypeError for an issuer or audience that can't be used; Error when a port is taken
 */
export async function runGate(settings: GateSettings, log: (entry: object) => void): Promise<RunningGate> {
  const { issuer, audience, insecureIssuer, revocations, onStale, host } = settings
  const report = limitedReport((message) => log({ level: 'error', msg: message }))
  let hasRevocations = !revocations
  const mirror = settings.mirror && createMirror({ issuer, onFailure: (reason) => reportMetadata(reason, log) })
  const options: VerifierOptions = {
    ...{ issuer, audience, insecureIssuer, revocations },
    ...(revocations && { onStale }),
    onEvent(event) {
      hasRevocations ||= event.type === 'revocations_applied'
      if (event.type === 'revocations_applied') mirror?.tell()
      if (event.type === 'internal') report(`a fault that is no refusal: ${failure(event.error)}`)
      else reportEvent(event, log)
    },
  }
  const verifier = makeVerifier(options, nodePlatform, mirror?.mirrored)
  const gate = createGate(verifier, report)
  const server = await listening(gate.listener, settings.port, host)
  const metrics =
    settings.metricsPort === undefined
      ? undefined
      : await listening(metricsListener(gate, verifier), settings.metricsPort, host)
  const mirroring =
    mirror && settings.mirror && (await listening(mirror.listener, settings.mirror.port, settings.mirror.host))
  const stopped = new AbortController()
  const pause = () => delay(RETRY_MS, undefined, { signal: stopped.signal, ref: false }).catch(() => undefined)
  void gate.health.start(pause, () => hasRevocations)
  return {
    url: urlOf(server),
    metricsUrl: metrics && urlOf(metrics),
    mirrorUrl: mirroring && urlOf(mirroring),
    async close() {
      gate.health.closing()
      stopped.abort()
      mirror?.close()
      await Promise.all([server, metrics, mirroring].map((one) => one && closed(one)))
      verifier.close()
    },
  }
}

/** Refusals are counted, and not logged: anybody can cause them. */
function reportEvent({ type, ...what }: VerifierEvent, log: (entry: object) => void): void {
  if (type === 'refused' || type === 'revocations_applied') return
  const isBad = type.endsWith('_failed') || type === 'issuer_went_back'
  log({ level: isBad ? 'warn' : 'info', event: type, ...what })
}

function reportMetadata(reason: string, log: (entry: object) => void): void {
  log({ level: 'warn', event: 'metadata_failed', reason })
}

function metricsListener(gate: Gate, verifier: Verifier): RequestListener {
  return ({ url }, reply) => {
    if (url !== '/metrics') return reply.writeHead(404).end()
    return reply.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(metricsText(gate, verifier))
  }
}

async function listening(listener: RequestListener, port: number, host: string): Promise<Server> {
  const server = createServer(SERVER_OPTIONS, listener)
  server.setTimeout(STALLED_MS)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return server
}

function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // Again and again: a connection whose request is answered meanwhile would stay for its keep-alive time.
    const idle = setInterval(() => server.closeIdleConnections(), 100)
    server.close(() => {
      clearInterval(idle)
      resolve()
    })
    server.closeIdleConnections()
  })
}
