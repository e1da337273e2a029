import type { Clock } from '../clock.ts'
import type { Revocations } from './follow-revocations.ts'

/**
 * The `iat` of what is published: when the set was last complete, rounded down to a multiple of `step`, so that equal
 * lists are equal texts on every node.
 *
 * When the store went back, numbers are lower than before, and followers tell by `iat` alone that a document is newer
 * than their copy. So until the next multiple it is not rounded.
 *
 * @param step seconds
 * @returns epoch seconds
 */
export function createIssuedAt(revocations: Pick<Revocations, 'age' | 'history'>, now: Clock, step: number): Clock {
  let { history } = revocations
  let last = 0
  let ofOldHistory = -1
  return () => {
    const completeAt = now() - Math.ceil(revocations.age())
    const rounded = Math.floor(completeAt / step) * step
    if (revocations.history !== history) {
      history = revocations.history
      ofOldHistory = last
    }
    if (last > completeAt + step) ofOldHistory = -1 // the clock was set back
    if (rounded > ofOldHistory) last = rounded
    else if (last <= ofOldHistory) last = completeAt
    return last
  }
}
