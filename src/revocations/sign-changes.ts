import { CompactSign } from 'jose'
import type { LiveKeyring } from '../keys/live-keyring.ts'
import { CHANGES_TYPE, type ChangesClaims } from './changes-format.ts'
import type { RevocationKind } from './revocation.ts'
import type { SetEntry } from './revocation-set.ts'

/** A document of the change stream, with the line feed that ends it. */
export interface SignedChanges {
  readonly line: Buffer
  readonly kid: string
  readonly iat: number
  /** The cursor in it. */
  readonly cursor: string
}

/** A document that is being signed, or is. */
export interface Signing extends Omit<SignedChanges, 'line'> {
  readonly line: Promise<Buffer>
}

type EntryClaims = Pick<ChangesClaims, 'sessions' | 'accounts' | 'clients' | 'tokens' | 'until'>

/** What a document says beside the members that all documents of the moment have. */
export type Part = Pick<ChangesClaims, 'after' | 'seq' | 'page' | 'pages' | 'whole' | 'iat'> & EntryClaims

/** The members of a document that list entries: those that are not empty. A later entry of a subject replaces one. */
export function entryClaims(entries: readonly SetEntry[]): EntryClaims {
  if (entries.length === 0) return {}
  const ids = (kind: RevocationKind) => {
    const found = new Set(entries.filter((entry) => entry.kind === kind).map(({ subject }) => subject))
    return found.size > 0 ? [...found] : undefined
  }
  const versions = (kind: RevocationKind) => {
    const found = entries.filter((entry) => entry.kind === kind)
    if (found.length === 0) return undefined
    return Object.fromEntries(found.map(({ subject, minVersion }) => [subject, minVersion]))
  }
  const members = { sessions: ids('session'), accounts: versions('account'), clients: versions('client') }
  const until = entries.reduce((latest, { expiresAt }) => Math.max(latest, expiresAt), 0)
  const present = Object.entries({ until, ...members, tokens: ids('token') }).filter(([, value]) => value !== undefined)
  return Object.fromEntries(present)
}

/** What all documents of one moment say. */
export interface Common {
  readonly issuer: string
  readonly history: string
  /** Seconds for which a copy counts as fresh. */
  readonly ttl: number
  readonly keys: readonly string[]
  readonly cursor: string
}

/**
 * Signs one document. RS256 is deterministic, so equal claims are equal texts on every node.
 *
 * @throws AppError `signing_unavailable`, at once
 */
export function signChanges(part: Part, common: Common, keyring: Pick<LiveKeyring, 'signingKey'>): Signing {
  const { kid, key } = keyring.signingKey()
  const sign = async () => {
    const jws = await new CompactSign(Buffer.from(JSON.stringify(claimsOf(part, common))))
      .setProtectedHeader({ alg: 'RS256', typ: CHANGES_TYPE, kid })
      .sign(key)
    return Buffer.from(`${jws}\n`)
  }
  return { line: sign(), kid, iat: part.iat, cursor: common.cursor }
}

function claimsOf({ after, seq, page, pages, whole, iat, ...entries }: Part, common: Common): ChangesClaims {
  const { issuer: iss, history, ttl, keys, cursor } = common
  return {
    iss,
    history,
    after,
    seq,
    ...(page !== undefined && { page, pages, whole }),
    iat,
    exp: iat + ttl,
    ...entries,
    ...(keys.length > 0 && { keys: [...keys] }),
    cursor,
  }
}
