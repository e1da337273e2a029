// The form of the package for other runtimes, in Node: bundled without the condition `node`.
import { createGuard } from './guard.js'
import { serveFetch } from './serve-fetch.js'

const guard = createGuard(process.env)

serveFetch((url, init) => guard.fetch(new Request(url, init)))
