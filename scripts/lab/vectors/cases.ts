/** Kids of the keys: the first two are in the JWKS. */
export interface Kids {
  readonly first: string
  readonly second: string
  readonly stranger: string
}

export interface Floor {
  readonly minVersion: number | null
  readonly seq: number
  readonly until: number
}

export interface Entries {
  readonly sessions: Record<string, number>
  readonly accounts: Record<string, Floor>
  readonly clients: Record<string, Floor>
  readonly tokens: Record<string, number>
}

/** What a follower holds. */
export interface State {
  readonly history: string
  readonly seq: number
  readonly iat: number
  readonly exp: number
  /** Null: ask with 0. */
  readonly cursor: string | null
  readonly left: readonly string[]
  /** Of this history. Accounts and clients have the `seq` of the document that said it. */
  readonly revoked: Entries
  /** Of the histories that were left. */
  readonly kept: Entries
  /** Revoked kids. */
  readonly keys: readonly string[]
}

/** One line of the answer. */
export interface Line {
  readonly claims: object
  readonly header?: object
  readonly signedBy?: keyof Kids | 'nobody' | 'public key as a secret'
  readonly isTampered?: boolean
}

export interface Case {
  readonly name: string
  readonly why: string
  readonly now?: number
  readonly before: State | null
  readonly lines: readonly Line[]
  /** How the body ends, if not with a whole line. */
  readonly end?: 'half a line' | 'no line feed' | 'an empty line'
  readonly outcome: 'applied' | 'ignored' | 'gap' | 'refused'
  /** Where it is refused. */
  readonly reason?: string
  readonly after: State | null
}

export const ISSUER = 'https://auth.example.com'
export const NOW = 1_800_000_000
export const SKEW = 5
/** Of every entry, unless a case says otherwise. */
export const UNTIL = NOW + 1000

export const NONE: Entries = { sessions: {}, accounts: {}, clients: {}, tokens: {} }

/** Session `s1` and account `a1` below version 3 are revoked, up to the number 10. */
export const HELD: State = {
  history: 'h1',
  seq: 10,
  iat: NOW - 30,
  exp: NOW + 30,
  cursor: 'h1.10',
  left: [],
  revoked: { ...NONE, sessions: { s1: UNTIL }, accounts: { a1: { minVersion: 3, seq: 10, until: UNTIL } } },
  kept: NONE,
  keys: [],
}

export type Claims = Readonly<Record<string, unknown>>

const ENTRIES = ['sessions', 'accounts', 'clients', 'tokens']

/** A change document of history `h1`, made now. */
export function change(after: number, seq: number, claims: Claims = {}): Line {
  const history = claims.history ?? 'h1'
  const hasEntries = ENTRIES.some((name) => claims[name] !== undefined)
  const dates = { iat: NOW, exp: NOW + 60, ...(hasEntries ? { until: UNTIL } : {}) }
  return { claims: { iss: ISSUER, history, after, seq, ...dates, cursor: `${history}.${seq}`, ...claims } }
}

/** A page of the whole `w1`. */
export function page(page: number, pages: number, seq: number, claims: Claims = {}): Line {
  return change(0, seq, { page, pages, whole: 'w1', ...claims })
}

/** The state when everything up to `seq` was added, by a document that was made now. */
export function upTo(seq: number, changes: Partial<State> = {}, revoked: Partial<Entries> = {}, from = HELD): State {
  const { history = from.history } = changes
  const dated = { seq, iat: NOW, exp: NOW + 60, cursor: `${history}.${seq}` }
  return { ...from, ...dated, revoked: { ...from.revoked, ...revoked }, ...changes }
}

/** Sessions with the usual end. */
export function ids(...names: string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, UNTIL]))
}

export function floor(minVersion: number | null, seq: number, until = UNTIL): Floor {
  return { minVersion, seq, until }
}
