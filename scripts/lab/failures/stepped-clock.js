// Loaded by `npm run failures` before the server's code (`--import`). JavaScript, because NODE_OPTIONS names it: any
// Node that the server starts must be able to read it.
// It shifts the wall clock of the process by the milliseconds in a file, from the moment they are written there. The
// monotonic clock and the timers are not changed, as when somebody sets the clock of a machine.
import { readFileSync } from 'node:fs'

const file = process.env.FAILURES_CLOCK_FILE ?? ''
const RealDate = Date

globalThis.Date = class SteppedDate extends RealDate {
  constructor(...args) {
    super(...(args.length === 0 ? [SteppedDate.now()] : args))
  }

  static now() {
    return RealDate.now() + Number(readFileSync(file, 'utf8'))
  }
}
