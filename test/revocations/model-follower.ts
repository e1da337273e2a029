import { decodeJwt } from 'jose'
import type { ChangesClaims } from '../../src/revocations/changes-format.ts'

/** A follower as the page of the feed describes it, without signatures: what it knows after each answer. */
export class ModelFollower {
  cursor = '0'
  history = ''
  seq = 0
  iat = 0
  exp = 0
  /** Entries by kind and subject, for example `account:acc_1`, with the version that they ask for. */
  entries = new Map<string, number | null>()
  readonly keys = new Set<string>()
  /** How often a document could not be used. */
  gaps = 0

  /** @param body an answer of the new form */
  apply(body: string): ChangesClaims[] {
    const documents = body
      .split('\n')
      .slice(0, -1)
      .map((line) => decodeJwt<ChangesClaims>(line))
    const pages = documents.filter(({ page }) => page !== undefined)
    if (pages.length > 0) this.#replace(pages)
    for (const change of documents.slice(pages.length)) if (!this.#add(change)) break
    return documents
  }

  #replace(pages: ChangesClaims[]): void {
    const [first] = pages as [ChangesClaims]
    const complete = pages.length === first.pages && pages.every(({ page }, i) => page === i + 1)
    if (!complete) throw new Error('an incomplete whole')
    for (const { keys = [] } of pages) for (const kid of keys) this.keys.add(kid)
    const isOlder =
      first.seq <= this.seq && first.iat <= this.iat && !(first.seq === this.seq && first.iat === this.iat)
    const isSame = first.history === this.history
    if (isSame ? first.seq < this.seq : isOlder) return
    if (isSame) this.entries = new Map()
    this.history = first.history
    this.seq = first.seq
    for (const page of pages) this.#take(page)
  }

  #add(change: ChangesClaims): boolean {
    for (const kid of change.keys ?? []) this.keys.add(kid)
    if (change.history !== this.history || this.seq < change.after) {
      this.gaps += 1
      this.cursor = '0'
      return false
    }
    this.seq = Math.max(this.seq, change.seq)
    this.#take(change)
    return true
  }

  #take({ iat, exp, cursor, sessions = [], tokens = [], accounts = {}, clients = {} }: ChangesClaims): void {
    this.iat = Math.max(this.iat, iat)
    this.exp = Math.max(this.exp, exp)
    this.cursor = cursor
    const put = (name: string, version: number | null) => {
      const known = this.entries.get(name)
      const stays = known === null || (known !== undefined && version !== null && known > version)
      if (!stays) this.entries.set(name, version)
    }
    for (const id of sessions) put(`session:${id}`, null)
    for (const id of tokens) put(`token:${id}`, null)
    for (const [id, version] of Object.entries(accounts)) put(`account:${id}`, version)
    for (const [id, version] of Object.entries(clients)) put(`client:${id}`, version)
  }
}
