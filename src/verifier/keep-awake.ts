import type { WaitUntil } from './mode-options.ts'

/** Lets work go on after the answer, where the runtime offers it. @param work never rejects */
export function keepAwake(work: Promise<unknown>, waitUntil: WaitUntil | undefined): void {
  try {
    waitUntil?.(work)
  } catch {} // the answer was sent already, and the work goes on as long as the runtime lets it
}
