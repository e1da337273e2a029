import { env } from 'cloudflare:workers'
import { createGuard } from './guard.js'

// At global scope, where a Worker may start no timer and no request. A KV namespace is the store of all isolates.
const guard = createGuard(env, {
  store: { get: (name) => env.STORE.get(name), put: (name, value) => env.STORE.put(name, value) },
})

export default {
  fetch: (request, _env, context) => guard.fetch(request, { waitUntil: (work) => context.waitUntil(work) }),
}
