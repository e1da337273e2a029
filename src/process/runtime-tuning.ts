import { executionAsyncResource } from 'node:async_hooks'
import { readdirSync, readFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// Settings of V8, Node and the operating system that make the server faster or smaller. None changes a result, and
// where one is not available the server runs without it. Each comment says what the setting gains, and when it can be
// removed.

/** Call this before anything else is loaded. */
export function tuneProcess(): void {
  void keepTickShape()
  keepCompiledCode()
}

/** Call this once the server listens. */
export function tuneServing(): void {
  lowerPoolPriority()
  giveBackMemory()
}

const kept: object[] = []

/**
 * Keeps `process.nextTick` fast for the life of the process. Call it before the first major garbage collection. Node
 * makes the record of each tick from a literal with computed keys. When a collection finds no tick waiting, it frees
 * the hidden class of those records, and V8 never again finds a fast path for that literal: a tick takes 265 ns instead
 * of 25, and a request takes seven ticks. One record that stays alive keeps the hidden class alive.
 *
 * @returns that record, after the tick
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
 * Keeps compiled code while the server is idle. After eight idle seconds V8 collects garbage to save memory, and also
 * drops compiled code and hidden classes: the first 250 requests after a pause then take twice the processor time (216
 * us each instead of 100). With this flag V8 collects garbage but keeps the rest. The price: memory pages that a burst
 * of requests took are kept for the next burst. It can be removed with Node 24: the V8 of Node 26 has no such flag that
 * a running process can set.
 */
export function keepCompiledCode(): void {
  if (Number.parseInt(process.versions.v8, 10) < FIRST_V8_WITHOUT_FLAG) {
    setFlagsFromString('--no-memory-reducer-favors-memory')
  }
}

const COLLECT_AFTER_BOOT_MS = 500

/**
 * Collects garbage once after the boot. More than half of the heap is garbage then, which an idle server would keep for
 * hours. It gives some 25 MB back to the system, and stops the server for less than a tenth of a second, once.
 */
export function giveBackMemory(): void {
  setTimeout(() => {
    try {
      setFlagsFromString('--expose-gc')
      const collect: (how: object) => void = runInNewContext('gc')
      collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    } catch {} // this V8 has no such function
  }, COLLECT_AFTER_BOOT_MS).unref()
}

/** The nice value for threads whose work can wait a moment. */
const POOL_NICE = 10
const TASKS = '/proc/self/task'

/**
 * Gives the threads of libuv's pool a lower priority than the event loop. Passwords are hashed there, and each hash
 * takes a core for tens of milliseconds: when cores are scarce, a request that only verifies a token goes first. Idle
 * cores are used as before. This works on Linux, where a thread can have its own priority; elsewhere nothing happens.
 */
export function lowerPoolPriority(): void {
  try {
    for (const thread of readdirSync(TASKS)) {
      const name = readFileSync(`${TASKS}/${thread}/comm`, 'utf8').trim()
      if (name === 'libuv-worker') setPriority(Number(thread), POOL_NICE)
    }
  } catch {} // no /proc, or a thread that ended meanwhile
}
