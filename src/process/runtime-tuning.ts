import { executionAsyncResource } from 'node:async_hooks'
import { readdirSync, readFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// Tricks on V8, Node and the operating system. None is needed for a right answer, and where one can't be had the server
// goes on without it. Each says what it gains and when it can go.

/** Before anything else is loaded. */
export function tuneProcess(): void {
  void keepTickShape()
  keepCompiledCode()
}

/** Once the server listens. */
export function tuneServing(): void {
  lowerPoolPriority()
  giveBackMemory()
}

const kept: object[] = []

/**
 * Keeps `process.nextTick` fast for the life of the process; to be called before the first big garbage collection. Node
 * makes each tick's record from a literal with computed keys. When a collection finds no tick waiting it frees the
 * hidden class of those records, and V8 never finds a fast way through that literal again: 265 ns a tick instead of 25,
 * and a request takes seven. One record that stays alive keeps its hidden class alive.
 *
 * @returns that record, once the tick has come
 */
export function keepTickShape(): Promise<object> {
  return new Promise((resolve) => {
    process.nextTick(() => {
      const record = executionAsyncResource()
      kept.push(record)
      resolve(record)
    })
  })
}

/** The V8 of Node 24 (13.6) knows the flag below. That of Node 26 (14.6) does not, and says so on stderr. */
const FIRST_V8_WITHOUT_FLAG = 14

/**
 * Keeps what V8 has compiled while nobody asks. After eight quiet seconds V8 collects garbage so as to become small,
 * and throws compiled code and hidden classes away with it: the first 250 requests after a pause then take twice the
 * processor time (216 us each instead of 100). Now it collects, and stays as it is. Price: the pages that a burst took
 * are kept for the next one. It can go when Node 24 goes: the V8 of Node 26 has no such flag that a running process
 * can set.
 */
export function keepCompiledCode(): void {
  if (Number.parseInt(process.versions.v8, 10) < FIRST_V8_WITHOUT_FLAG) {
    setFlagsFromString('--no-memory-reducer-favors-memory')
  }
}

const COLLECT_AFTER_BOOT_MS = 500

/**
 * Boot compiles and throws away: after it, more than half of the heap is garbage that an idle server would keep for
 * hours. One collection gives some 25 MB back to the system. It stops the server for less than a tenth of a second,
 * once.
 */
export function giveBackMemory(): void {
  setTimeout(() => {
    try {
      setFlagsFromString('--expose-gc')
      const collect: (how: object) => void = runInNewContext('gc')
      collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    } catch {} // a V8 without it
  }, COLLECT_AFTER_BOOT_MS).unref()
}

/** The nice value of a thread whose work can wait a moment. */
const POOL_NICE = 10
const TASKS = '/proc/self/task'

/**
 * Gives the threads of libuv's pool a lower priority than the event loop. Passwords are hashed there, each taking a
 * core for tens of milliseconds: when cores are short, a verified request goes first. Idle cores are used as before. On
 * Linux, where a thread can have a priority of its own; elsewhere nothing happens.
 */
export function lowerPoolPriority(): void {
  try {
    for (const thread of readdirSync(TASKS)) {
      const name = readFileSync(`${TASKS}/${thread}/comm`, 'utf8').trim()
      if (name === 'libuv-worker') setPriority(Number(thread), POOL_NICE)
    }
  } catch {} // no /proc, or a thread that ended meanwhile
}
