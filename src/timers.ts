/** A timer, of whatever kind the runtime has: an object or a number. */
export type Timer = ReturnType<typeof setTimeout>

interface Timers {
  readonly Deno?: { unrefTimer?(timer: unknown): void }
  readonly setImmediate?: (callback: () => void) => void
}

/** What work needs of the signal that ends it: as much of an AbortSignal as every runtime lets it keep. */
export type StopSignal = Pick<AbortSignal, 'aborted' | 'reason' | 'throwIfAborted'> & {
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/**
 * Lets the process end while this timer waits, where the runtime knows that difference: Node and Bun by the timer,
 * Deno by a function.
 *
 * @returns the same timer
 */
export function unreferenced(timer: Timer): Timer {
  if (typeof timer === 'object') timer.unref()
  else (globalThis as Timers).Deno?.unrefTimer?.(timer)
  return timer
}

/** Resolves after so many milliseconds, or as soon as the signal is aborted. It does not keep the process alive. */
export function pause(milliseconds: number, signal: StopSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', over)
      resolve()
    }
    const timer = unreferenced(setTimeout(over, milliseconds))
    signal.addEventListener('abort', over)
  })
}

/** Gives way: resolves when what waits for the event loop has had its turn. */
export function turn(): Promise<void> {
  const { setImmediate } = globalThis as Timers
  return new Promise((resolve) => {
    if (setImmediate === undefined) setTimeout(resolve)
    else setImmediate(resolve)
  })
}
