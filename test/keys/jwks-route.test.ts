import t from 'tap'
import { startApp } from '../support/app.ts'

t.test('the JWKS holds public members only and may be cached', async (t) => {
  const { app } = await startApp(t, { env: { JWKS_MAX_AGE: '120' } })
  const reply = await app.inject('/.well-known/jwks.json')
  t.equal(reply.statusCode, 200)
  t.match(reply.headers['content-type'], /^application\/jwk-set\+json/)
  t.equal(reply.headers['cache-control'], 'public, max-age=120')
  t.equal(reply.headers['access-control-allow-origin'], '*')
  const { keys } = reply.json()
  t.equal(keys.length, 2, 'the key that signs, and the standby key')
  for (const key of keys) {
    t.same(Object.keys(key).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use'])
    t.match(key, { kty: 'RSA', e: 'AQAB', use: 'sig', alg: 'RS256' })
  }
})

t.test('a cache that has the JWKS already gets 304', async (t) => {
  const { app } = await startApp(t)
  const etag = String((await app.inject('/.well-known/jwks.json')).headers.etag)
  t.match(etag, /^"[\w-]+"$/)
  for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const reply = await app.inject({ url: '/.well-known/jwks.json', headers: { 'if-none-match': tag } })
    t.equal(reply.statusCode, 304, tag)
    t.equal(reply.body, '')
    t.equal(reply.headers.etag, etag)
  }
  const other = await app.inject({ url: '/.well-known/jwks.json', headers: { 'if-none-match': '"other"' } })
  t.equal(other.statusCode, 200)
})

t.test('a query changes nothing: a verifier asks with ?kid=… past a cache that keeps the JWKS too long', async (t) => {
  const { app } = await startApp(t)
  const plain = await app.inject('/.well-known/jwks.json')
  const QUERIES = [
    'kid=SSFBk3jaikTXH4N2v7ExyvHf48XOGKEOPPj6zODGWGg',
    'kid=',
    'kid',
    'kid=a&kid=b',
    '',
    'kid[]=a&constructor=b&__proto__=c',
    'kid=%00%ff',
    `kid=${'x'.repeat(4000)}`,
    'anything=else',
  ]
  for (const query of QUERIES) {
    const url = `/.well-known/jwks.json?${query}`
    const reply = await app.inject(url)
    t.equal(reply.statusCode, 200, query.slice(0, 50))
    t.equal(reply.body, plain.body)
    t.equal(reply.headers.etag, plain.headers.etag)
    t.equal(reply.headers['cache-control'], plain.headers['cache-control'])
    const again = await app.inject({ url, headers: { 'if-none-match': String(plain.headers.etag) } })
    t.equal(again.statusCode, 304)
  }
})

t.test('HEAD answers, POST does not', async (t) => {
  const { app } = await startApp(t)
  t.equal((await app.inject({ method: 'HEAD', url: '/.well-known/jwks.json' })).statusCode, 200)
  const post = await app.inject({ method: 'POST', url: '/.well-known/jwks.json' })
  t.equal(post.statusCode, 405)
  t.equal(post.headers.allow, 'GET, HEAD')
})
