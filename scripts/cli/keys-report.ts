import { toTimestamp } from '../../src/clock.ts'
import type { Config } from '../../src/config/config.ts'
import type { Revoked, RotationOutcome, Tidied } from '../../src/keys/change-keyring.ts'
import { type KeyEntry, type Phase, phase, UNDATED } from '../../src/keys/keyring.ts'
import type { KeysFolder } from '../../src/keys/keys-folder.ts'
import { type RefreshKey, refreshKeyAt } from '../../src/keys/refresh-keys.ts'
import { keyTiming, minimumLead, RELOAD_INTERVAL_SECONDS } from '../../src/keys/rotation.ts'
import { type Result, table } from './command-line.ts'
import { type Finding, isRemark } from './keys-check.ts'

// The output of the keys script, for people and for machines.

export interface KeyRow {
  readonly kid: string
  readonly phase: Phase
  readonly created_at: string
  readonly publish_at: string
  /** Null for a standby key: it has no date yet. */
  readonly sign_from: string | null
  readonly verify_until: string | null
  readonly revoked_at: string | null
  /** True when the private half is in the folder. */
  readonly private: boolean
}

export function keyRow(entry: KeyEntry, now: number, hasPrivate: boolean): KeyRow {
  const { kid, created_at, publish_at, sign_from, verify_until, revoked_at } = entry
  return {
    kid,
    phase: phase(entry, now),
    created_at: toTimestamp(created_at),
    publish_at: toTimestamp(publish_at),
    sign_from: dated(sign_from),
    verify_until: dated(verify_until),
    revoked_at: revoked_at === null ? null : toTimestamp(revoked_at),
    private: hasPrivate,
  }
}

/** Null for an instant that is not planned yet. */
const dated = (instant: number | null) => (instant === null || instant >= UNDATED ? null : toTimestamp(instant))

export function keyTable(rows: readonly KeyRow[], now: number): string {
  const cells = rows.map((row) => [row.kid, row.phase, story(row, now), row.private ? 'yes' : 'no'])
  return table(['KID', 'PHASE', 'WHAT HAPPENS', 'PRIVATE HALF'], cells)
}

interface RefreshKeyRow {
  readonly id: string
  readonly phase: Phase
  readonly sign_from: string
}

/** Oldest first. */
export function refreshKeyRows(keys: readonly RefreshKey[], now: number): RefreshKeyRow[] {
  const current = refreshKeyAt(keys, now)
  return keys
    .toSorted((a, b) => a.signFrom - b.signFrom)
    .map((key) => ({
      id: key.id,
      phase: key === current ? 'current' : key.signFrom > now ? 'next' : 'previous',
      sign_from: toTimestamp(key.signFrom),
    }))
}

export function refreshKeyTable(rows: readonly RefreshKeyRow[], now: number): string {
  const cells = rows.map(({ id, phase, sign_from }) => {
    const { both } = at(Date.parse(sign_from) / 1000, now)
    return [id, phase, phase === 'next' ? `in use ${both}` : `in use since ${both}`]
  })
  return table(['ID', 'PHASE', 'WHAT HAPPENS'], cells)
}

export function describeChange(outcome: RotationOutcome, config: Config, now: number): Result {
  const { tidied, planned, standby } = outcome
  const rest = [...describeStandby(standby), ...describeTidied(tidied)]
  if (planned === undefined) {
    const { entry, because } = outcome
    const why =
      because === 'waiting'
        ? `key ${entry.kid} is published and signs ${at(entry.sign_from, now).both}`
        : `the current key ${entry.kid} began to sign ${at(entry.sign_from, now).both}`
    return {
      json: { made: null, because, kid: entry.kid, standby: standby?.kid ?? null, tidied },
      text: [`nothing to do: ${why}`, ...rest].join('\n'),
    }
  }
  const json = {
    made: planned.kid,
    publish_at: toTimestamp(planned.publish_at),
    sign_from: toTimestamp(planned.sign_from),
    standby: standby?.kid ?? null,
    tidied,
  }
  const first = outcome.keyring.every((entry) => entry.kid === planned.kid || phase(entry, now) === 'standby')
  return { json, text: [...planText(planned, first, config, now), ...rest].join('\n') }
}

function describeStandby(standby: KeyEntry | undefined): string[] {
  return standby === undefined
    ? []
    : [`made standby key ${standby.kid}: published now, for the next rotation or an emergency`]
}

export function describeRevocation(kid: string, outcome: Revoked, config: Config, now: number): Result {
  const { signs, tookOver, standby, standbyError, tidied } = outcome
  const cachedUntil = now + RELOAD_INTERVAL_SECONDS + config.JWKS_MAX_AGE
  const knownFrom = signs === undefined || !tookOver ? now : signs.publish_at + minimumLead(keyTiming(config))
  return {
    json: {
      revoked: kid,
      signs: signs?.kid ?? null,
      standby: standby?.kid ?? null,
      cached_until: at(cachedUntil).absolute,
      tidied,
    },
    text: [
      `revoked ${kid}: within ${RELOAD_INTERVAL_SECONDS} s no server signs or verifies with it, ` +
        'and it is out of the JWKS',
      signs ? `${signs.kid} signs now` : 'NO KEY SIGNS: every login fails until you run `npm run keys -- rotate`',
      ...(knownFrom > now ? tooYoung(knownFrom, now) : []),
      `integrators who have the old JWKS cached accept its tokens until ${at(cachedUntil).both} ` +
        'at the latest (JWKS_MAX_AGE), and ones who',
      'cache longer than that for longer: tell them the kid. ' +
        'Whoever holds the leaked key can sign for them until then.',
      ...describeStandby(standby),
      ...(standbyError
        ? [`NO STANDBY KEY WAS MADE: ${standbyError.message}; then run \`npm run keys -- rotate\``]
        : []),
      ...describeTidied(tidied),
    ].join('\n'),
  }
}

function tooYoung(knownFrom: number, now: number): string[] {
  return [
    `it was published too short a time ago: until ${at(knownFrom, now).both}, services with an older JWKS in a cache`,
    'refuse new tokens, and can not verify the revocation feed, so that they go on accepting the revoked key',
  ]
}

/** Exit code 1 for a failure; remarks are told, and are none. */
export function describeFindings(findings: readonly Finding[], folder: KeysFolder): Result {
  const failed = !findings.every(isRemark)
  const lines = findings.map((finding) => {
    return `${isRemark(finding) ? 'remark: ' : ''}${finding.problem}\n  mend: ${finding.mend}`
  })
  const text = [...(failed ? [] : [`${folder.dir} is in order`]), ...lines].join('\n')
  const json = findings.map((finding) => ({ ...finding, severity: finding.severity ?? 'failure' }))
  return { json, text, exitCode: failed ? 1 : 0 }
}

export function describeTidied({ entries, privateKeys }: Tidied): string[] {
  return [
    ...entries.map((kid) => `removed ${kid} from the keyring: no valid token is signed with it any more`),
    ...privateKeys.map((kid) => `deleted the private half of ${kid}: it no longer signs`),
  ]
}

/** An instant as text for people: absolute, and relative to now with the absolute one. */
export function at(instant: number, now = instant): { absolute: string; both: string } {
  const absolute = toTimestamp(instant)
  return { absolute, both: instant === now ? absolute : `${relative(instant - now)} (${absolute})` }
}

function planText({ kid, publish_at, sign_from }: KeyEntry, first: boolean, config: Config, now: number): string[] {
  if (first) return [`key ${kid} is the first; it signs from now on`]
  if (sign_from > now) {
    return [
      `key ${kid}: in the JWKS since ${toTimestamp(publish_at)}, signs ${at(sign_from, now).both}`,
      'every server switches in that second by itself; there is nothing more to do',
    ]
  }
  if (publish_at + minimumLead(keyTiming(config)) <= sign_from) {
    return [`key ${kid}: in the JWKS since ${toTimestamp(publish_at)}, signs from now on`]
  }
  return [
    `key ${kid}: in the JWKS since ${toTimestamp(publish_at)}, signs from now on`,
    `risk: servers that have not read the folder yet refuse its tokens for up to ${RELOAD_INTERVAL_SECONDS} s, ` +
      'and integrators with a cached JWKS',
    `for up to ${config.JWKS_MAX_AGE} s, unless they fetch it again for an unknown kid`,
  ]
}

function story(row: KeyRow, now: number): string {
  const when = (timestamp: string | null) => at(Date.parse(timestamp ?? '') / 1000, now).both
  switch (row.phase) {
    case 'standby':
      return `in the JWKS, waits for a rotation or an emergency`
    case 'next':
      return `signs ${when(row.sign_from)}`
    case 'current':
      return `began to sign ${when(row.sign_from)}`
    case 'previous':
      return `stops verifying ${when(row.verify_until)}`
    case 'retired':
      return `retired ${when(row.verify_until)}`
    case 'revoked':
      return `revoked ${when(row.revoked_at)}`
  }
}

function relative(seconds: number): string {
  const format = new Intl.RelativeTimeFormat('en', { style: 'short' })
  const [unit, size] = (
    [
      ['day', 86_400],
      ['hour', 3600],
      ['minute', 60],
      ['second', 1],
    ] as const
  ).find(([, size]) => Math.abs(seconds) >= size) ?? ['second', 1]
  return format.format(Math.trunc(seconds / size), unit).replace('.', '')
}
