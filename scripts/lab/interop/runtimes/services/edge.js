import { createGuard } from './guard.js'

// The bundler puts the values in, as that of Next.js does.
const { ISSUER, AUDIENCE, MAX_FEED_AGE } = process.env
const guard = createGuard({ ISSUER, AUDIENCE, MAX_FEED_AGE })

addEventListener('fetch', (event) => {
  event.respondWith(guard.fetch(event.request, { waitUntil: (work) => event.waitUntil(work) }))
})
