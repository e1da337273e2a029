// The thread that quick-threads.ts gives to all SQLite databases in memory of a process. A message has the port and the
// `workerData` of one database: src/db/sqlite-worker.ts is loaded once more for it, and takes these for its own.
// JavaScript, because it changes what a built-in module exports.

import { syncBuiltinESMExports } from 'node:module'
import threads from 'node:worker_threads'

const WORKER = new URL('../../src/db/sqlite-worker.ts', import.meta.url)
const { parentPort } = threads
let count = 0
let before = Promise.resolve()

parentPort.on('message', ({ port, workerData }) => {
  before = before.then(async () => {
    threads.parentPort = port
    threads.workerData = workerData
    syncBuiltinESMExports()
    count += 1
    await import(`${WORKER.href}?${count}`)
  })
})
