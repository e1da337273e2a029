import { createGuard } from './guard.js'

// The bundler puts the values in the place of these names, as that of Next.js does: there is no `process`.
const guard = createGuard({
  ISSUER: process.env.ISSUER,
  AUDIENCE: process.env.AUDIENCE,
  MAX_FEED_AGE: process.env.MAX_FEED_AGE,
})

addEventListener('fetch', (event) => {
  event.respondWith(guard.fetch(event.request, { waitUntil: (work) => event.waitUntil(work) }))
})
