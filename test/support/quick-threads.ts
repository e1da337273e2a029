import { syncBuiltinESMExports } from 'node:module'
import threads from 'node:worker_threads'

// Each app of a test has a thread for its SQLite, and a thread loads first what the options of its process name. Those
// that tap gives to the process of a test load its own code, which is more than half of the start of a thread that
// needs none of it. Here a thread starts with the options of a server.

const REQUIRE_NODE = new URL('../../src/require-node.js', import.meta.url).href

class ThreadOfServer extends threads.Worker {
  constructor(file: string | URL, options: threads.WorkerOptions = {}) {
    super(file, { execArgv: ['--import', REQUIRE_NODE], ...options })
  }
}

threads.Worker = ThreadOfServer
syncBuiltinESMExports()
