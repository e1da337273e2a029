import type { ChangesClaims } from '../../src/revocations/changes-format.ts'

export interface Revoked {
  readonly seq: number
  readonly kind: 'session' | 'account'
  readonly subject: string
  readonly minVersion: number | null
  readonly until: number
}

/** A choice of 0 to `below - 1`. */
export type Choose = (below: number) => number

/** Seconds that a revocation is needed for. */
const LIFE = 300

interface View {
  history: number
  seq: number
}

/**
 * An issuer with two nodes on one store. The store may lose its last numbers and go on with another history; nodes
 * know it, and what is revoked, only when they look.
 */
export class ModelIssuer {
  now = 1_800_000_000
  /** What each history revoked, by number. Histories share what was revoked before they parted. */
  readonly logs: Revoked[][] = [[]]
  readonly #nodes: View[] = [
    { history: 0, seq: 0 },
    { history: 0, seq: 0 },
  ]
  #version = 1

  revoke(choose: Choose): void {
    const log = this.logs.at(-1) ?? []
    const isAccount = choose(2) === 0
    this.#version += 1 // versions only go up; null is lifted by a version above all before it
    log.push({
      seq: log.length + 1,
      kind: isAccount ? 'account' : 'session',
      subject: `${choose(6)}`,
      minVersion: isAccount && choose(3) > 0 ? this.#version : null,
      until: this.now + LIFE,
    })
  }

  /** A failover to a standby that has not all. */
  goBack(choose: Choose): void {
    const log = this.logs.at(-1) ?? []
    this.logs.push(log.slice(0, Math.max(0, log.length - choose(4))))
  }

  look(choose: Choose): void {
    const node = this.#nodes[choose(2)] as View
    const newest = { history: this.logs.length - 1, seq: this.logs.at(-1)?.length ?? 0 }
    const isAhead = node.history === newest.history && node.seq > newest.seq
    Object.assign(node, isAhead ? {} : newest)
  }

  /** What one of the nodes answers. @param cursor of the follower */
  answer(cursor: string | undefined, choose: Choose): ChangesClaims[] {
    const { history, seq } = this.#nodes[choose(2)] as View
    const [asked = '', number = ''] = cursor?.split('.') ?? []
    const isUsable = asked === `h${history}` && choose(5) > 0
    if (isUsable) return this.#changes(history, Math.min(seq, Math.max(0, Number(number) - choose(3))), seq, choose)
    const end = Math.max(0, seq - choose(4))
    return [...this.#whole(history, end, seq, choose), ...this.#changes(history, end, seq, choose)]
  }

  #entries(history: number, after: number, seq: number): Revoked[] {
    return (this.logs[history] ?? []).slice(after, seq).filter(({ until }) => until > this.now)
  }

  /** Cut anywhere, with some overlap. */
  #changes(history: number, after: number, seq: number, choose: Choose): ChangesClaims[] {
    const documents: ChangesClaims[] = []
    for (let from = after; from < seq; ) {
      const to = Math.min(seq, from + 1 + choose(4))
      const overlapping = Math.max(0, from - choose(3))
      documents.push(this.#document(history, overlapping, to, this.#entries(history, overlapping, to)))
      from = to
    }
    return documents.length > 0 && choose(2) === 0 ? documents : [...documents, this.#document(history, seq, seq, [])]
  }

  #wholes = 0

  /** Pages may already have what was revoked while they were made. */
  #whole(history: number, seq: number, newest: number, choose: Choose): ChangesClaims[] {
    const latest = new Map<string, Revoked>()
    for (const one of this.#entries(history, 0, newest - choose(newest - seq + 1)))
      latest.set(one.kind + one.subject, one)
    const entries = [...latest.values()]
    const pages = 1 + choose(3)
    const size = Math.ceil(entries.length / pages)
    this.#wholes += 1
    const whole = `w${this.#wholes}`
    return Array.from({ length: pages }, (_, i) => ({
      ...this.#document(history, 0, seq, entries.slice(i * size, (i + 1) * size)),
      page: i + 1,
      pages,
      whole,
    }))
  }

  /** Dates are rounded, as those of the server. */
  #document(history: number, after: number, seq: number, entries: readonly Revoked[]): ChangesClaims {
    const iat = Math.floor(this.now / 30) * 30
    const accounts = entries.filter(({ kind }) => kind === 'account')
    const sessions = entries.filter(({ kind }) => kind === 'session')
    return {
      iss: 'model',
      history: `h${history}`,
      after,
      seq,
      iat,
      exp: iat + 60,
      ...(entries.length > 0 ? { until: Math.max(...entries.map(({ until }) => until)) } : {}),
      ...(sessions.length > 0 ? { sessions: sessions.map(({ subject }) => subject) } : {}),
      ...(accounts.length > 0
        ? { accounts: Object.fromEntries(accounts.map(({ subject, minVersion }) => [subject, minVersion])) }
        : {}),
      cursor: `h${history}.${seq}`,
    }
  }
}
