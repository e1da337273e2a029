// A verifier that polls without a pause, for `polls.ts`. JavaScript, so that every version of Node can run it.
//
//     node --expose-gc polling-follower.js <entry of the package> <issuer> <polls>
//
// Prints one JSON object a line: { "polls": …, "bytes": … }, the heap after these polls.

import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers/promises'
import { pathToFileURL } from 'node:url'

const [entry = '', issuer = '', polls = ''] = process.argv.slice(2)
const last = Number(polls)
const marks = new Set([0.05, 0.2, 1].map((part) => Math.round(last * part)))

const { setTimeout: delay } = timers
const reached = Promise.withResolvers?.() ?? withResolvers()
let asked = 0

// The pause between two polls is where the heap is measured: no request is under way then.
timers.setTimeout = async (_milliseconds, value, options) => {
  if (marks.has(asked)) {
    console.log(JSON.stringify({ polls: asked, bytes: await heap() }))
    marks.delete(asked)
    if (asked >= last) reached.resolve()
  }
  return delay(0, value, options)
}
syncBuiltinESMExports()

// Not the option `fetch`: the verifier is to use the one of Node as it always does.
const { fetch } = globalThis
globalThis.fetch = (url, init) => {
  if (String(url).includes('revocations')) asked += 1
  return fetch(url, init)
}

const { createVerifier } = await import(pathToFileURL(entry).href)
const verifier = createVerifier({
  issuer,
  audience: 'me',
  revocations: true,
  onEvent({ type, reason }) {
    if (reason !== undefined) throw new Error(`${type}: ${reason}`)
  },
})
const alive = setInterval(() => undefined, 2 ** 30)
await reached.promise
verifier.close()
clearInterval(alive)

async function heap() {
  for (let times = 0; times < 10; times += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    globalThis.gc()
  }
  return process.memoryUsage().heapUsed
}

function withResolvers() {
  const all = {}
  all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }))
  return all
}
