import { PerformanceObserver } from 'node:perf_hooks'
import type { LoopBlocks } from './feed-verifier.ts'

// Preloaded into a process (`--import`) whose event loop is measured. The loop never sleeps: each turn is timed, by the
// clock and by the processor time of this thread, which other programs on the machine do not lengthen. Collections of
// garbage are timed by the clock, because other threads work in them too.

const NONE: LoopBlocks = { wall: 0, processor: 0, collection: 0 }
let longest = NONE
let before = { wall: performance.now(), processor: processorMs() }
let isMeasuring = false

const observer = new PerformanceObserver((list) => {
  const collection = Math.max(longest.collection, ...list.getEntries().map(({ duration }) => duration))
  longest = { ...longest, collection }
})
observer.observe({ entryTypes: ['gc'] })

process.on('message', (order: { blocks?: 'begin' | 'end' }) => {
  if (order.blocks === undefined) return
  isMeasuring = order.blocks === 'begin'
  process.send?.(longest)
  longest = NONE
  before = { wall: performance.now(), processor: processorMs() }
  if (isMeasuring) setImmediate(turn)
})
process.channel?.unref()

function turn(): void {
  const now = { wall: performance.now(), processor: processorMs() }
  longest = {
    ...longest,
    wall: Math.max(longest.wall, now.wall - before.wall),
    processor: Math.max(longest.processor, now.processor - before.processor),
  }
  before = now
  if (isMeasuring) setImmediate(turn)
}

function processorMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
