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
  t.equal(keys.length, 1)
  t.same(Object.keys(keys[0]).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use'])
  t.match(keys[0], { kty: 'RSA', e: 'AQAB', use: 'sig', alg: 'RS256' })
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

t.test('HEAD answers, POST does not', async (t) => {
  const { app } = await startApp(t)
  t.equal((await app.inject({ method: 'HEAD', url: '/.well-known/jwks.json' })).statusCode, 200)
  const post = await app.inject({ method: 'POST', url: '/.well-known/jwks.json' })
  t.equal(post.statusCode, 405)
  t.equal(post.headers.allow, 'GET, HEAD')
})
