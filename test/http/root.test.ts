import t from 'tap'
import { startApp } from '../support/app.ts'

const ISSUER = 'https://auth.example.com/tenant'

t.test('GET / says where the documents are, and they are there', async (t) => {
  const { app } = await startApp(t, { env: { ISSUER } })
  const reply = await app.inject({ url: '/', headers: { origin: 'https://anywhere.example' } })
  t.equal(reply.statusCode, 200)
  t.equal(reply.headers['access-control-allow-origin'], '*')
  const { issuer, ...links } = reply.json()
  t.equal(issuer, ISSUER)
  t.same(Object.keys(links).sort(), ['docs', 'metadata', 'openapi'])
  for (const link of Object.values<string>(links)) {
    t.ok(link.startsWith(`${ISSUER}/`), link)
    t.equal((await app.inject(link.slice(ISSUER.length))).statusCode, 200, link)
    t.equal((await app.inject(new URL(link).pathname)).statusCode, 200, `${link}, path kept`)
  }
  t.same((await app.inject('/tenant/')).json(), reply.json(), 'a proxy that keeps the path')
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 405)
})

t.test('every path that an issuer may have boots', async (t) => {
  for (const path of ["/%20%2a/a@b;c+d=e,f'g", '/$&!~._-|^`'.replace(/[|^`]/g, encodeURIComponent), '/ü'.normalize()]) {
    const issuer = new URL(`https://auth.example.com${path}`).href
    const { app } = await startApp(t, { env: { ISSUER: issuer } })
    t.equal((await app.inject('/')).json().issuer, issuer, issuer)
  }
})

t.test('GET / names no page that is not there', async (t) => {
  const { app } = await startApp(t, { env: { DOCS: 'off' } })
  t.notOk('docs' in (await app.inject('/')).json())
})
