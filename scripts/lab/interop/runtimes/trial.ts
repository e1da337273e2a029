import type { Runtime } from './runtimes.ts'

/** A runtime in which the service runs, and what was found. */
export interface RuntimeTrial {
  readonly runtime: Runtime
  readonly version: string
  readonly url: string
  /** The end of what the service wrote to standard error. */
  complaint(): string
  /** Cells of the table, by column. */
  readonly counts: Map<string, string>
  /** What differs from Node and is no fault. */
  readonly notes: string[]
  readonly faults: string[]
}

/** Longer than any request of the verifier to the issuer. */
const TIMEOUT_MS = 10_000

/** The status of the answer to a token; a text when there is none. */
export async function statusOf({ url }: RuntimeTrial, token: string, signal?: AbortSignal): Promise<number | string> {
  const late = AbortSignal.timeout(TIMEOUT_MS)
  try {
    const signals = signal === undefined ? [late] : [late, signal]
    const reply = await fetch(url, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.any(signals) })
    await reply.arrayBuffer()
    return reply.status
  } catch (error) {
    return (error as Error).name
  }
}
