import { createGuard } from './guard.js'

const guard = createGuard(process.env)

const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: (request) => guard.fetch(request) })
console.log(`http://127.0.0.1:${server.port}`)
