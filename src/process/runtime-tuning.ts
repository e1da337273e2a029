import { executionAsyncResource } from 'node:async_hooks'
import { readdirSync, readFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { collectGarbage, isHeapLarge } from '../collect-garbage.ts'

// Settings of V8, Node and the operating system that make the server faster or smaller. None changes a result, and
// where one is not available the server runs without it. Each comment says what the setting gains and costs, and when
// it can be removed.

/** Call this before anything else is loaded. */
export function tuneProcess(): void {
  void keepTickShape()
}

/** Call this when everything is loaded, before the server listens. */
export function tuneLoaded(): void {
  giveBackMuchMemory()
}

/** Call this once the server listens. */
export function tuneServing(): void {
  lowerPoolPriority()
  giveBackMemory()
}

const kept: object[] = []

/**
 * Keeps `process.nextTick` fast on Node 24. Call it before the first major garbage collection. Node 24 makes the record
 * of each tick from a literal with computed keys. When a collection finds no tick waiting, it frees the hidden class of
 * those records, and V8 never again finds a fast path for that literal. One record that stays alive keeps the hidden
 * class alive.
 *
 * - Upstream: no issue found. Node 26 makes the record with a class (`TickObject`), which has no such fault.
 * - Gain (Node 24.21, 2026-11-30): a tick takes 60 ns after a collection instead of 370 to 460, and a verified
 *   `GET /v1/me` takes 8 % less processor time. On Node 26.12: nothing, a tick takes 60 ns either way.
 * - Price: one object.
 * - It can be removed with Node 24. To see whether a Node needs it: time a million ticks before and after `gc()`.
 *
 * @returns that record after the tick, or undefined where none is kept
 */
export function keepTickShape(): Promise<object | undefined> {
  return new Promise((resolve) => {
    process.nextTick(() => {
      const record = executionAsyncResource()
      const fromLiteral = Object.getPrototypeOf(record) === Object.prototype
      if (fromLiteral) kept.push(record)
      resolve(fromLiteral ? record : undefined)
    })
  })
}

const COLLECT_AFTER_BOOT_MS = 500
/**
 * Collects garbage once after the boot. What loading and compiling left behind would otherwise stay: an idle server
 * allocates too little to make V8 collect it.
 *
 * - Upstream: no issue found. V8 has no public call for "the boot is over"; `--expose-gc` is the way to its collector.
 * - Gain (2026-11-30): an idle server is 30 MB smaller, for good: 125 instead of 154 MB on Node 26.12, and 137 instead
 *   of 167 MB on Node 24.21, 3, 12 and 40 seconds after the start. After 8,500 requests it is still 29 MB smaller.
 * - Price: some 170 ms of processor time, once. The server stands still for 40 to 95 ms twice, on a busy machine up to
 *   400 ms.
 * - Not with a large heap: see `giveBackMuchMemory`.
 * - It can be removed when `/proc/PID/status` of an idle server shows the same VmRSS without it.
 */
export function giveBackMemory(): void {
  setTimeout(() => {
    if (!isHeapLarge()) collectGarbage()
  }, COLLECT_AFTER_BOOT_MS).unref()
}

/**
 * The same for a large heap, before the server listens: nobody waits for it yet.
 *
 * - Gain (Node 26.12, 2026-11-30, a million revocations): the server does not stand still for 170 to 330 ms twice when
 *   it serves already, and is 110 MB smaller than without any collection.
 * - Price: it listens half a second later. To read as many revocations takes five.
 */
export function giveBackMuchMemory(): void {
  if (isHeapLarge()) collectGarbage()
}

/** The nice value for threads whose work can wait a moment. */
const POOL_NICE = 10
const TASKS = '/proc/self/task'

/**
 * Gives the threads of libuv's pool a lower priority than the event loop. Passwords are hashed there, and each hash
 * takes a core for tens of milliseconds: when cores are scarce, a request that only verifies a token goes first. Idle
 * cores are used as before. This works on Linux, where a thread can have its own priority; elsewhere nothing happens.
 *
 * - Upstream: https://github.com/libuv/libuv/issues/4051 asked for priorities. libuv has `uv_thread_setpriority` since
 *   https://github.com/libuv/libuv/pull/4075, but Node offers no way to call it for its pool.
 * - Gain (Node 26.12, 2026-11-30, two busy cores, 16 logins at a time, medians of 6 rounds): `GET /v1/me` takes 3 ms
 *   instead of 17 at p95, and 15 instead of 65 at p99. The event loop waits 1.0 ms for a core per request instead of
 *   4.3.
 * - Price: on a machine that other programs keep busy too, logins wait for those programs.
 * - It can be removed when Node can set the priority of its pool, or when passwords are hashed elsewhere.
 */
export function lowerPoolPriority(): void {
  try {
    for (const thread of readdirSync(TASKS)) {
      const name = readFileSync(`${TASKS}/${thread}/comm`, 'utf8').trim()
      if (name === 'libuv-worker') setPriority(Number(thread), POOL_NICE)
    }
  } catch {} // no /proc, or a thread that ended meanwhile
}
