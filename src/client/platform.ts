import { type Clock, systemClock } from './clocks.ts'

/** The part of Web Locks that is used (`navigator.locks`). */
export interface Locks {
  request(name: string, options: LockOptions, work: () => Promise<void>): Promise<unknown>
}
export interface LockOptions {
  readonly signal?: AbortSignal
  readonly steal?: boolean
}

/** The part of a BroadcastChannel that is used. */
export interface Channel {
  postMessage(message: unknown): void
  onmessage: ((event: { readonly data: unknown }) => void) | null
  close(): void
}

/** Whether anybody looks at the page. */
export interface Page {
  isHidden(): boolean | undefined
  /** Calls when the page comes into view, or the network comes back. @returns a function that stops that */
  onWake(run: () => void): () => void
}

/** What the client needs of where it runs. Each member can be replaced by an option of `createSession`. */
export interface Platform {
  readonly fetch: typeof globalThis.fetch
  readonly clock: Clock
  /** 0 ≤ number < 1, for jitter. */
  readonly random: () => number
  readonly locks: Locks | undefined
  readonly channel: ((name: string) => Channel) | undefined
  readonly page: Page
  /** The address of the page, which relative addresses belong to. */
  readonly base: string | undefined
}

interface Globals {
  readonly document?: { readonly hidden?: boolean; readonly baseURI?: string }
  readonly navigator?: { readonly locks?: Locks }
  readonly BroadcastChannel?: new (name: string) => Channel
  addEventListener?(type: string, run: () => void, options: { readonly signal: AbortSignal }): void
}

const here = globalThis as unknown as Globals

/** Where there is a browser, by the one global that React Native, Node, Bun and Deno do not have. */
export const isBrowser = (): boolean => !!here.document

/** Looks at the platform when a session is made, not at the import: a server that renders pages may import this. */
export function platformOf(replaced: Partial<Platform>): Platform {
  const { BroadcastChannel } = here
  return {
    fetch: (input, init) => globalThis.fetch(input, init),
    clock: systemClock,
    random: Math.random,
    locks: here.navigator?.locks,
    channel: BroadcastChannel && ((name) => new BroadcastChannel(name)),
    page: {
      isHidden: () => here.document?.hidden,
      onWake(run) {
        const controller = new AbortController()
        // A change of visibility bubbles up to the window.
        for (const type of ['visibilitychange', 'online']) here.addEventListener?.(type, run, controller)
        return () => controller.abort()
      },
    },
    // Asked each time: the page changes its address without being loaded anew.
    get base() {
      return here.document?.baseURI
    },
    ...replaced,
  }
}
