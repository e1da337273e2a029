import { readdirSync, readFileSync } from 'node:fs'
import { setPriority } from 'node:os'

/** The nice value of a thread that does the work nobody waits for at this very moment. */
const POOL_NICE = 10
const TASKS = '/proc/self/task'

/**
 * Gives the threads of libuv's pool a lower priority than the event loop. Passwords are hashed there, each taking a core for tens of
 * milliseconds: when cores are short, a verified request goes first. Idle cores are used as before. On Linux, where a thread can
 * have a priority of its own; elsewhere nothing happens.
 */
export function lowerPoolPriority(): void {
  try {
    for (const thread of readdirSync(TASKS)) {
      const name = readFileSync(`${TASKS}/${thread}/comm`, 'utf8').trim()
      if (name === 'libuv-worker') setPriority(Number(thread), POOL_NICE)
    }
  } catch {} // no /proc, or a thread that ended meanwhile: a kindness, not a need
}
