import { decodeJwt } from 'jose'
import type { ChangesClaims } from '../../src/revocations/changes-format.ts'
import {
  afterChange,
  afterWhole,
  type Held,
  judgeChange,
  judgeWhole,
  NOTHING,
} from '../../src/verifier/feed/feed-rules.ts'

/** A follower by the rules of the package, without signatures and clocks: what it knows after each answer. */
export class ModelFollower {
  held: Held = NOTHING
  /** Entries by kind and subject, for example `account:acc_1`, with the version that they ask for. */
  entries = new Map<string, number | null>()
  readonly keys = new Set<string>()
  /** How often a document could not be used. */
  gaps = 0

  get cursor(): string {
    return this.held.cursor ?? '0'
  }

  /** @param body an answer of the new form */
  apply(body: string): ChangesClaims[] {
    const documents = body
      .split('\n')
      .slice(0, -1)
      .map((line) => decodeJwt<ChangesClaims>(line))
    const pages = documents.filter(({ page }) => page !== undefined)
    for (const { keys = [] } of documents) for (const kid of keys) this.keys.add(kid)
    if (pages.length > 0) this.#replace(pages)
    for (const change of documents.slice(pages.length)) if (!this.#add(change)) break
    return documents
  }

  #replace(pages: ChangesClaims[]): void {
    const [first] = pages as [ChangesClaims]
    const complete = pages.length === first.pages && pages.every(({ page }, i) => page === i + 1)
    if (!complete) throw new Error('an incomplete whole')
    const judgement = judgeWhole(this.held, first)
    if (judgement === 'older') return
    if (judgement === 'replace') this.entries = new Map()
    this.held = afterWhole(this.held, first)
    for (const page of pages) this.#take(page)
  }

  #add(change: ChangesClaims): boolean {
    if (judgeChange(this.held, change) === 'gap') {
      this.gaps += 1
      this.held = { ...this.held, cursor: undefined }
      return false
    }
    this.held = afterChange(this.held, change)
    this.#take(change)
    return true
  }

  #take({ sessions = [], tokens = [], accounts = {}, clients = {} }: ChangesClaims): void {
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
