#!/usr/bin/env node
import { systemClock, toTimestamp } from '../../clock.ts'
import { giveBackMemory } from './give-back-memory.ts'
import { runGate } from './run-gate.ts'
import { BadSettings, GATE_SETTINGS, readGateSettings } from './settings.ts'

/** How long requests in flight may take to finish. */
const DRAIN_MS = 10_000

const log = (entry: object) =>
  process.stdout.write(`${JSON.stringify({ time: toTimestamp(systemClock()), ...entry })}\n`)

function usage(): string {
  const rows = Object.entries(GATE_SETTINGS).map(([name, text]) => `  ${name.padEnd(16)}${text}\n`)
  return `signet-gate: answers gateways whether a request may pass. Settings, by environment:\n${rows.join('')}`
}

function fail(error: unknown): never {
  const isForeseen = error instanceof BadSettings || error instanceof TypeError || 'code' in Object(error)
  // The verifier knows its options by other names.
  const { message, stack } = error as Error
  const text = isForeseen
    ? message.replace(/^(issuer|audience|jwksUri):/, (name) => (name === 'audience:' ? 'AUDIENCE:' : 'ISSUER:'))
    : stack
  process.stderr.write(`${String(text).replace(/^/gm, 'signet-gate: error: ')}\n`)
  process.exit(1)
}

if (process.argv.length > 2) {
  process.stdout.write(usage())
  process.exit(['-h', '--help'].includes(process.argv[2] ?? '') ? 0 : 2)
}
try {
  const gate = await runGate(readGateSettings(process.env), log)
  giveBackMemory()
  log({ level: 'info', event: 'listening', url: gate.url, metrics: gate.metricsUrl, mirror: gate.mirrorUrl })
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      log({ level: 'info', event: 'closing', signal })
      setTimeout(() => process.exit(1), DRAIN_MS).unref()
      void gate.close().then(() => log({ level: 'info', event: 'closed' }))
    })
} catch (error) {
  fail(error)
}
