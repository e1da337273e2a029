import type { AccessTokenClaims } from '../tokens/claims.ts'
import type { WithdrawnIds } from './feed-format.ts'
import type { Revocation, RevocationKind } from './revocation.ts'

export type Verdict = 'good' | 'revoked' | 'stale'

/**
 * What is withdrawn, in memory: the answer to "may this token still be used?" is a few Map look-ups.
 *
 * An entry goes when no token it could hit is alive, so the set is as small as the revocations of the last quarter of an hour.
 */
export class RevocationSet {
  readonly #entries: Readonly<Record<RevocationKind, Map<string, Revocation>>> = {
    session: new Map(),
    account: new Map(),
    client: new Map(),
    token: new Map(),
  }

  /** Versions, not clocks, decide: a token issued in the second of a role change, but after it, is good. */
  judge({ sid, sub, client_id, jti, token_version = 0 }: AccessTokenClaims): Verdict {
    const { session, account, client, token } = this.#entries
    if (sid !== undefined && session.has(sid)) return 'revoked'
    if (token.size > 0 && token.has(jti)) return 'revoked'
    if (client.size > 0 && isBelow(client.get(client_id), token_version)) return 'revoked'
    const ofAccount = account.get(sub)
    if (!isBelow(ofAccount, token_version)) return 'good'
    return ofAccount?.minVersion === null ? 'revoked' : 'stale'
  }

  add(revocation: Revocation): void {
    const entries = this.#entries[revocation.kind]
    const known = entries.get(revocation.subject)
    if (known !== undefined && known.seq > revocation.seq) return
    entries.delete(revocation.subject) // the order is that of the numbers on every node, whenever it began to follow
    entries.set(revocation.subject, revocation)
  }

  /** Everything that is withdrawn and not over, in the order in which it was. @param now epoch seconds */
  snapshot(now: number): WithdrawnIds {
    const alive = (kind: RevocationKind) => [...this.#entries[kind].values()].filter(({ expiresAt }) => expiresAt > now)
    const ids = (kind: RevocationKind) => alive(kind).map(({ subject }) => subject)
    const versions = (kind: RevocationKind) =>
      Object.fromEntries(alive(kind).map(({ subject, minVersion }) => [subject, minVersion]))
    return {
      sessions: ids('session'),
      accounts: versions('account'),
      clients: versions('client'),
      tokens: ids('token'),
    }
  }

  /** Drops what is over. @param now epoch seconds */
  sweep(now: number): void {
    for (const entries of Object.values(this.#entries)) {
      for (const [subject, { expiresAt }] of entries) if (expiresAt <= now) entries.delete(subject)
    }
  }

  get size(): number {
    return Object.values(this.#entries).reduce((sum, entries) => sum + entries.size, 0)
  }
}

function isBelow(entry: Revocation | undefined, version: number): boolean {
  return entry !== undefined && (entry.minVersion === null || version < entry.minVersion)
}
