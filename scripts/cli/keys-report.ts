import { toTimestamp } from '../../src/clock.ts'
import type { Config } from '../../src/config/config.ts'
import type { RotationOutcome, Tidied } from '../../src/keys/change-keyring.ts'
import { type KeyEntry, type Phase, phase } from '../../src/keys/keyring.ts'
import { type RefreshKey, refreshKeyAt } from '../../src/keys/refresh-keys.ts'
import { RELOAD_INTERVAL_SECONDS } from '../../src/keys/rotation.ts'
import { type Result, table } from './command-line.ts'

// The output of the keys script, for people and for machines.

export interface KeyRow {
  readonly kid: string
  readonly phase: Phase
  readonly created_at: string
  readonly publish_at: string
  readonly sign_from: string
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
    sign_from: toTimestamp(sign_from),
    verify_until: verify_until === null ? null : toTimestamp(verify_until),
    revoked_at: revoked_at === null ? null : toTimestamp(revoked_at),
    private: hasPrivate,
  }
}

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
  const { tidied, made } = outcome
  if (made === undefined) {
    const { entry, because } = outcome
    const why =
      because === 'waiting'
        ? `key ${entry.kid} is published and signs ${at(entry.sign_from, now).both}`
        : `the current key ${entry.kid} began to sign ${at(entry.sign_from, now).both}`
    return {
      json: { made: null, because, kid: entry.kid, tidied },
      text: [`nothing to do: ${why}`, ...describeTidied(tidied)].join('\n'),
    }
  }
  const json = {
    made: made.kid,
    publish_at: toTimestamp(made.publish_at),
    sign_from: toTimestamp(made.sign_from),
    tidied,
  }
  return {
    json,
    text: [...planText(made, outcome.keyring.length === 1, config, now), ...describeTidied(tidied)].join('\n'),
  }
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

function planText({ kid, sign_from }: KeyEntry, first: boolean, config: Config, now: number): string[] {
  if (first) return [`made key ${kid}, the first; it signs from now on`]
  if (sign_from > now) {
    return [
      `made key ${kid}: published now, signs ${at(sign_from, now).both}`,
      'every server switches in that second by itself; there is nothing more to do',
    ]
  }
  return [
    `made key ${kid}: it signs from now on`,
    `risk: servers that have not read the folder yet refuse its tokens for up to ${RELOAD_INTERVAL_SECONDS} s, ` +
      'and integrators with a cached JWKS',
    `for up to ${config.JWKS_MAX_AGE} s, unless they fetch it again for an unknown kid`,
  ]
}

function story(row: KeyRow, now: number): string {
  const when = (timestamp: string | null) => at(Date.parse(timestamp ?? '') / 1000, now).both
  switch (row.phase) {
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
