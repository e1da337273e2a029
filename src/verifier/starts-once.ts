import type { Timer } from '../timers.ts'

/** What runs from the first use on, unless it was closed before. @param begin returns its timer */
export function startsOnce(begin: () => Timer) {
  let state: 'new' | 'closed' | { readonly timer: Timer } = 'new'
  return {
    start() {
      if (state === 'new') state = { timer: begin() }
    },
    close() {
      if (typeof state === 'object') clearInterval(state.timer)
      state = 'closed'
    },
  }
}
