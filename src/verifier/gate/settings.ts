import { isTypo } from '../../config/typo.ts'

/** What the gate is told by its environment. */
export interface GateSettings {
  readonly issuer: string
  readonly audience: readonly string[]
  readonly insecureIssuer: boolean
  readonly host: string
  readonly port: number
  /** Undefined: there are no metrics. */
  readonly metricsPort: number | undefined
  readonly revocations: boolean
  readonly onStale: 'accept' | 'reject'
  /** Where keys, metadata and feed are served to others; undefined: nowhere. */
  readonly mirror: { readonly host: string; readonly port: number } | undefined
}

/** Settings that can't be used: each line names one, and says what it may be. */
export class BadSettings extends Error {}

type Env = Readonly<Record<string, string | undefined>>

/** By name: what a setting may be, for people. */
export const GATE_SETTINGS = {
  ISSUER: 'the URL of the token server, without a slash at its end; https, except for loopback',
  AUDIENCE: 'the identifiers of the services behind the gate, separated by commas: a token needs one of them',
  HOST: 'the address to listen on; default 127.0.0.1',
  PORT: 'a port, 0 to 65535; default 4180',
  METRICS_PORT: 'a port for /metrics on the same address; without it there are none',
  REVOCATIONS: 'on (default) or off: whether the revocation feed is followed',
  ON_STALE: 'accept (default) or reject: what happens to tokens without a fresh copy of the feed',
  MIRROR: '1 or 0 (default): whether keys, metadata and feed of the issuer are served to other services',
  MIRROR_HOST: 'the address on which they are served; default 127.0.0.1',
  MIRROR_PORT: 'the port on which they are served, 0 to 65535; default 4181',
  INSECURE_ISSUER: 'on or off (default): plain http to an issuer that is not on this machine',
} as const
type Name = keyof typeof GATE_SETTINGS

/**
 * Reads the settings of the gate.
 *
 * @throws BadSettings that names every fault; the verifier checks issuer and audience itself
 */
export function readGateSettings(env: Env): GateSettings {
  const faults = misspelled(env)
  const text = (name: Name): string | undefined => {
    const given = env[name]
    if (given?.trim() === '') faults.push(`${name} is empty: ${GATE_SETTINGS[name]}`)
    return given?.trim()
  }
  const needed = (name: Name): string => {
    const given = text(name)
    if (given === undefined) faults.push(`${name} is missing: ${GATE_SETTINGS[name]}`)
    return given ?? ''
  }
  const one = <Value extends string>(name: Name, values: readonly [Value, ...Value[]]): Value => {
    const given = text(name) ?? values[0]
    const found = values[values.indexOf(given as Value)]
    if (found === undefined) faults.push(refused(name, given))
    return found ?? values[0]
  }
  const port = (name: Name): number | undefined => {
    const given = text(name)
    if (given === undefined || given === '') return undefined
    if (!/^\d{1,5}$/.test(given) || Number(given) > 65_535) faults.push(refused(name, given))
    return Number(given)
  }
  const settings = {
    issuer: needed('ISSUER'),
    audience: needed('AUDIENCE')
      .split(',')
      .map((audience) => audience.trim()),
    insecureIssuer: one('INSECURE_ISSUER', ['off', 'on']) === 'on',
    host: text('HOST') ?? '127.0.0.1',
    port: port('PORT') ?? 4180,
    metricsPort: port('METRICS_PORT'),
    revocations: one('REVOCATIONS', ['on', 'off']) === 'on',
    onStale: one('ON_STALE', ['accept', 'reject']),
    mirror: mirrorOf(one('MIRROR', ['0', '1']) === '1', text('MIRROR_HOST'), port('MIRROR_PORT')),
  }
  if (!settings.revocations && env.ON_STALE !== undefined) faults.push('ON_STALE has no effect with REVOCATIONS=off')
  if (settings.mirror && !settings.revocations) faults.push('MIRROR=1 has no feed to serve with REVOCATIONS=off')
  for (const name of ['MIRROR_HOST', 'MIRROR_PORT'] as const)
    if (!settings.mirror && env[name] !== undefined) faults.push(`${name} has no effect without MIRROR=1`)
  if (settings.audience.includes('') && env.AUDIENCE?.trim()) faults.push(refused('AUDIENCE', env.AUDIENCE))
  if (faults.length > 0) throw new BadSettings(faults.join('\n'))
  return settings
}

function mirrorOf(isOn: boolean, host = '127.0.0.1', port = 4181): GateSettings['mirror'] {
  return isOn ? { host, port } : undefined
}

function refused(name: Name, given: string): string {
  return `${name}: ${JSON.stringify(given.slice(0, 80))} is not accepted: ${GATE_SETTINGS[name]}`
}

/** A misspelled setting would silently leave the default in force. */
function misspelled(env: Env): string[] {
  const names = Object.keys(GATE_SETTINGS)
  return Object.keys(env).flatMap((given) => {
    if (names.includes(given)) return []
    const meant = names.find((name) => name.length >= 6 && isTypo(given.toUpperCase(), name))
    return meant === undefined ? [] : [`${given} is no setting (${meant}?)`]
  })
}
