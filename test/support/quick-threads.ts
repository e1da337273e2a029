import { syncBuiltinESMExports } from 'node:module'
import threads, { MessageChannel, type MessagePort } from 'node:worker_threads'

// Each app of a test has a thread for its SQLite, and a thread loads first what the options of its process name. Those
// that tap gives to the process of a test load its own code, which is more than half of the start of a thread that
// needs none of it. Here a thread starts with the options of a server.
//
// Even so it takes 20 ms of processor time. So the databases in memory of a process share one thread, in which each has
// a port and a copy of the module of its own.

const REQUIRE_NODE = new URL('../../src/require-node.js', import.meta.url).href
const STORE_THREAD = new URL('store-thread.js', import.meta.url)

class ThreadOfServer extends threads.Worker {
  constructor(file: string | URL, options: threads.WorkerOptions = {}) {
    super(file, { execArgv: ['--import', REQUIRE_NODE], ...options })
  }
}

let shared: threads.Worker | undefined

function inSharedThread(workerData: unknown): MessagePort {
  shared ??= new ThreadOfServer(STORE_THREAD)
  shared.unref()
  const { port1, port2 } = new MessageChannel()
  shared.postMessage({ port: port2, workerData }, [port2])
  port1.on('close', () => port1.emit('exit', 0))
  return port1
}

function isInMemory(file: string | URL, { workerData }: threads.WorkerOptions) {
  return String(file).endsWith('/sqlite-worker.ts') && workerData?.path === ':memory:'
}

threads.Worker = new Proxy(ThreadOfServer, {
  construct: (Thread, [file, options = {}]) =>
    isInMemory(file, options) ? inSharedThread(options.workerData) : new Thread(file, options),
})
syncBuiltinESMExports()
