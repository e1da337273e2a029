// Starts workerd with the bundle of workerd.js. No flag of compatibility with Node.
import { readFileSync } from 'node:fs'
import { Miniflare } from 'miniflare'

const { BUNDLE, ISSUER, AUDIENCE, MAX_FEED_AGE } = process.env

const miniflare = new Miniflare({
  host: '127.0.0.1',
  port: 0,
  compatibilityDate: '2026-06-01',
  modules: [{ type: 'ESModule', path: 'workerd.js', contents: readFileSync(BUNDLE, 'utf8') }],
  bindings: { ISSUER, AUDIENCE, MAX_FEED_AGE },
  kvNamespaces: ['STORE'],
})
console.log((await miniflare.ready).origin)
