// Loaded into a server before its own code (`--import`): its wall clock is off by the milliseconds that a file says, from the moment
// it says so. The monotonic clock and the timers go on as they do when somebody sets the clock of a machine.
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
