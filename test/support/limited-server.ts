import { UNLIMITED } from './app.ts'
import { serverAt } from './front-door.ts'

const START = 1_800_000_000

/** The settings of a real server, as far as limits go. */
export const ON = Object.fromEntries(Object.keys(UNLIMITED).map((name) => [name, undefined])) as unknown as Record<
  string,
  string
>

export const limited = (t: Parameters<typeof serverAt>[0], env: Record<string, string> = {}) =>
  serverAt(t, START, { ...ON, LOAD_MAX_EVENT_LOOP_DELAY: '0', ...env })
