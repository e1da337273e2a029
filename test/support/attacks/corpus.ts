import type { Mint } from '../mint.ts'
import { algorithmAttacks } from './algorithms.ts'
import { claimAttacks } from './claims.ts'
import { headerAttacks } from './headers.ts'
import { kidAttacks } from './kids.ts'
import { shapeAttacks } from './shapes.ts'
import { signatureAttacks } from './signatures.ts'

/** A token that every verifier of access tokens has to refuse. */
export interface Attack {
  readonly name: string
  readonly token: string
  /** The public code; `invalid_token` when absent. */
  readonly code?: 'token_expired'
}

/** What the corpus is written against: the verifier's own signing key, and an address that nobody may call. */
export interface Target {
  readonly mint: Mint
  /** URL of a server that counts who comes (SSRF through `jku`, `x5u` and `kid`). */
  readonly canary: string
}

type Group = readonly [group: string, attacks: (target: Target) => readonly Attack[]]

const GROUPS: readonly Group[] = [
  ['algorithm', algorithmAttacks],
  ['kid', kidAttacks],
  ['header', headerAttacks],
  ['signature', signatureAttacks],
  ['claims', claimAttacks],
  ['shape', shapeAttacks],
]

/** The whole corpus, by what is wrong with the tokens. */
export function corpus(target: Target): [group: string, attacks: readonly Attack[]][] {
  return GROUPS.map(([group, attacks]) => [group, attacks(target)])
}

/**
 * A value as it shows in the name of a case: in ASCII, because a line separator in a name would break the test
 * report.
 */
export function shown(value: unknown): string {
  const json = Buffer.isBuffer(value) ? `bytes ${value.toString('hex')}` : (JSON.stringify(value) ?? 'absent')
  const text = json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return text.length > 60 ? `${text.slice(0, 40)}... (${text.length})` : text
}
