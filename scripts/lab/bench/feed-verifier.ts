import { Child } from './child.ts'

/** Orders to a verifier that follows the feed. */
export type VerifierOrder = { readonly hydrate: string } | { readonly watch: readonly string[] }

/** The longest turn of an event loop, in milliseconds. */
export interface LoopBlocks {
  readonly wall: number
  readonly processor: number
  /** The longest collection of garbage, by the clock. */
  readonly collection: number
}

export const MEASURED_LOOP = ['--import', './scripts/lab/bench/loop-blocks.ts']

/** Begins to measure a process that was started with `MEASURED_LOOP`. */
export async function beginBlocks(child: Child): Promise<void> {
  await child.ask({ blocks: 'begin' })
}

/** @returns the longest turn since the begin */
export async function endBlocks(child: Child): Promise<LoopBlocks> {
  return (await child.ask({ blocks: 'end' })) as LoopBlocks
}

/** signet-verifier in a process of its own, as a service has it. */
export class FeedVerifier implements AsyncDisposable {
  readonly child: Child

  constructor(core?: number) {
    this.child = new Child({ args: [...MEASURED_LOOP, 'scripts/lab/bench/feed-verifier-worker.ts'], core })
  }

  /** @returns how many entries it has then */
  async hydrate(origin: string): Promise<number> {
    return (await this.child.ask({ hydrate: origin })) as number
  }

  /** Resolves when all are refused. @returns when each was, epoch milliseconds, in order */
  async refusals(tokens: readonly string[]): Promise<readonly number[]> {
    return (await this.child.ask({ watch: tokens })) as number[]
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.child.stop()
  }
}
