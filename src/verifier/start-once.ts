import type { Timer } from '../timers.ts'

/** What runs from the first use on, unless it was closed before. @param begin returns its timer, if it has one */
export function startOnce(begin: () => Timer | undefined) {
  let state: 'new' | 'closed' | { readonly timer: Timer | undefined } = 'new'
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
