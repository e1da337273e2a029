import type { Refusal } from '../errors/refusals.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import type { Verdict } from '../tokens/verify.ts'
import type { RevokedIds } from './feed-format.ts'
import type { Revocation, RevocationKind } from './revocation.ts'
import { SegmentedMap } from './segmented-map.ts'

/**
 * A revocation of all tokens below a `token_version`. It holds numbers only: an entry takes little more memory than its
 * key.
 */
type Versions = Pick<Revocation, 'minVersion' | 'seq' | 'expiresAt'>

/** An entry as the feed publishes it. */
export type SetEntry = Omit<Revocation, 'seq'>

/**
 * The revocations in memory: the answer to "may this token still be used?" takes a few Map look-ups.
 *
 * An entry is dropped once every token that it could affect has expired, so the set is as small as the revocations of
 * the last quarter of an hour.
 */
export class RevocationSet {
  // Each stands in the order of `seq`, so that the feed lists entries in the same order on every node.
  // A revoked session or token needs only its expiry: a plain number, because there may be millions of entries.
  readonly #revoked = { session: new SegmentedMap<number>(), token: new SegmentedMap<number>() }
  readonly #below = { account: new SegmentedMap<Versions>(), client: new SegmentedMap<Versions>() }

  judge(claims: AccessTokenClaims): Verdict {
    const { session, token } = this.#revoked
    const { account, client } = this.#below
    return verdictOn(claims, session, token, account, client)
  }

  /** @returns what refuses the token; undefined for a good one */
  refusalOn(claims: AccessTokenClaims): Refusal | undefined {
    const { session, token } = this.#revoked
    const { account, client } = this.#below
    return refusalOn(claims, session, token, account, client)
  }

  /**
   * Adds an entry. What it refused before it goes on refusing, in whatever order entries arrive: numbers and versions
   * of a store that went back are given twice.
   */
  add({ kind, subject, minVersion, seq, expiresAt }: Revocation): void {
    if (kind === 'session' || kind === 'token') {
      const entries = this.#revoked[kind]
      entries.putLast(subject, Math.max(expiresAt, entries.get(subject) ?? 0))
    } else {
      const entries = this.#below[kind]
      const known = entries.get(subject)
      const merged = known === undefined ? { minVersion, seq, expiresAt } : merge(known, { minVersion, seq, expiresAt })
      if (known === undefined || known.seq <= seq) entries.putLast(subject, merged)
      else entries.set(subject, merged)
    }
  }

  /** @returns undefined without an entry. The set keeps no `seq` of a session or a token: it is 0 then. */
  find(kind: RevocationKind, subject: string): Revocation | undefined {
    if (kind === 'account' || kind === 'client') {
      const versions = this.#below[kind].get(subject)
      return versions && { kind, subject, ...versions }
    }
    const expiresAt = this.#revoked[kind].get(subject)
    return expiresAt === undefined ? undefined : { kind, subject, minVersion: null, seq: 0, expiresAt }
  }

  /**
   * Every revocation that has not expired, in the order of `seq`.
   *
   * @param now epoch seconds
   */
  snapshot(now: number): RevokedIds {
    const ids = (entries: SegmentedMap<number>) =>
      [...entries].filter(([, expiresAt]) => expiresAt > now).map(([subject]) => subject)
    const versions = (entries: SegmentedMap<Versions>) =>
      Object.fromEntries(
        [...entries]
          .filter(([, { expiresAt }]) => expiresAt > now)
          .map(([subject, { minVersion }]) => [subject, minVersion]),
      )
    return {
      sessions: ids(this.#revoked.session),
      accounts: versions(this.#below.account),
      clients: versions(this.#below.client),
      tokens: ids(this.#revoked.token),
    }
  }

  /**
   * The same one by one: sessions, accounts, clients, tokens. It may be read in slices while the set changes: an entry
   * that is added or moved meanwhile comes later, perhaps for a second time, and none is missed.
   *
   * @param now epoch seconds
   */
  *entries(now: number): Generator<SetEntry> {
    const { session, token } = this.#revoked
    const { account, client } = this.#below
    for (const [subject, expiresAt] of session)
      if (expiresAt > now) yield { kind: 'session', subject, minVersion: null, expiresAt }
    for (const [subject, { minVersion, expiresAt }] of account)
      if (expiresAt > now) yield { kind: 'account', subject, minVersion, expiresAt }
    for (const [subject, { minVersion, expiresAt }] of client)
      if (expiresAt > now) yield { kind: 'client', subject, minVersion, expiresAt }
    for (const [subject, expiresAt] of token)
      if (expiresAt > now) yield { kind: 'token', subject, minVersion: null, expiresAt }
  }

  /**
   * Drops expired entries.
   *
   * @param now epoch seconds
   */
  sweep(now: number): void {
    for (const _ of this.sweeping(now));
  }

  /**
   * The same in steps of one entry: take as many at a time as the event loop can spare.
   *
   * @param now epoch seconds
   */
  *sweeping(now: number): Generator<void> {
    for (const entries of Object.values(this.#revoked)) yield* entries.deleting((expiresAt) => expiresAt <= now)
    for (const entries of Object.values(this.#below)) yield* entries.deleting(({ expiresAt }) => expiresAt <= now)
  }

  get size(): number {
    const { session, token } = this.#revoked
    const { account, client } = this.#below
    return session.size + token.size + account.size + client.size
  }
}

type Ids = Pick<ReadonlyMap<string, unknown>, 'has' | 'size'>
type Floors = Pick<ReadonlyMap<string, Pick<Revocation, 'minVersion'>>, 'get' | 'size'>

/** True when `one` refuses more versions than `other`: null refuses every one. */
export const isHigher = (one: number | null, other: number | null): boolean =>
  other !== null && (one === null || one > other)

const merge = (one: Versions, other: Versions): Versions => ({
  minVersion: isHigher(one.minVersion, other.minVersion) ? one.minVersion : other.minVersion,
  seq: Math.max(one.seq, other.seq),
  expiresAt: Math.max(one.expiresAt, other.expiresAt),
})

/** The verdict on a token, by what is revoked of each kind. */
export function verdictOn(
  claims: AccessTokenClaims,
  session: Ids,
  token: Ids,
  account: Floors,
  client: Floors,
): Verdict {
  const refusal = refusalOn(claims, session, token, account, client)
  if (refusal === undefined) return 'good'
  return refusal === 'stale_version' ? 'stale' : 'revoked'
}

/**
 * What refuses a token, by what is revoked of each kind; undefined for a good one. Compares versions, not times: a
 * token issued in the same second as a role change, but after it, is good.
 *
 * The widest cause goes first, because it takes the others along: a deleted account has its sessions ended too. What
 * a refresh mends goes last.
 */
export function refusalOn(
  { sid, sub, client_id, jti, token_version = 0 }: AccessTokenClaims,
  session: Ids,
  token: Ids,
  account: Floors,
  client: Floors,
): Refusal | undefined {
  const ofAccount = account.get(sub)
  if (ofAccount?.minVersion === null) return 'revoked_account'
  if (client.size > 0 && isBelow(client.get(client_id), token_version)) return 'revoked_client'
  if (sid !== undefined && session.has(sid)) return 'revoked_session'
  if (token.size > 0 && token.has(jti)) return 'revoked_token'
  return isBelow(ofAccount, token_version) ? 'stale_version' : undefined
}

/** @throws TypeError for a good token, which nothing refuses */
export function asRefused(found: Refusal | undefined): Refusal {
  if (found === undefined) throw new TypeError('nothing refuses this token')
  return found
}

function isBelow(entry: Pick<Revocation, 'minVersion'> | undefined, version: number): boolean {
  return entry !== undefined && (entry.minVersion === null || version < entry.minVersion)
}
