import t, { type Test } from 'tap'
import { servedBelow } from '../../src/http/issuer-path.ts'
import { PASSWORD, registered, startApp } from '../support/app.ts'
import { type Browser, browserAt } from '../support/browser.ts'
import { updatedNow } from '../support/refresh-cookie.ts'
import { reverseProxy } from '../support/reverse-proxy.ts'

const HOST = 'id.example.com'

/** A server behind a proxy, and a browser that sees the proxy. */
async function behindProxy(t: Test, path: string, strips: boolean) {
  const issuer = `https://${HOST}${path}`
  const server = await startApp(t, { env: { ISSUER: issuer } })
  const target = await server.app.listen({ port: 0, host: '127.0.0.1' })
  const proxy = await reverseProxy(t, { host: HOST, path, strips, target })
  return { ...server, issuer, proxy, browser: browserAt(proxy) }
}

async function login({ open }: Browser, issuer: string, email: string): Promise<string> {
  const reply = await open(`${issuer}/v1/login`, {
    method: 'POST',
    json: { email, password: PASSWORD, transport: 'cookie' },
  })
  if (reply.status !== 200) throw new Error(reply.body)
  return JSON.parse(reply.body).access_token
}

for (const path of ['/auth', '/auth/one', '/v1', '/a.b_c~d']) {
  for (const strips of [true, false]) {
    t.test(`an issuer at ${path} works behind a proxy that ${strips ? 'strips' : 'keeps'} the path`, async (t) => {
      const { app, issuer, browser } = await behindProxy(t, path, strips)
      await registered(app, 'ada@example.com')
      const bearer = { authorization: `Bearer ${await login(browser, issuer, 'ada@example.com')}` }
      for (let i = 0; i < 2; i += 1) {
        const next = await browser.open(`${issuer}/v1/refresh`, { method: 'POST', json: {} })
        t.equal(next.status, 200, `the cookie comes back: ${next.body}`)
      }
      t.equal((await browser.open(`${issuer}/v1/me`, { headers: bearer })).status, 200)
      t.match((await browser.open(`${issuer}/nothing`)).headers['content-type'], /problem/, 'an error of the server')

      await t.test('the page, its files and its document', async (t) => {
        const opened = new Set<string>() // the page is the same at both addresses, and its files are large
        for (const address of [`${issuer}/docs`, `${issuer}/docs/`]) {
          const page = await browser.follow(address)
          t.match(page.headers['content-type'], /text\/html/, address)
          const links = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => String(link))
          t.ok(links.length > 3)
          for (const { href } of links.map((link) => new URL(link, page.url))) {
            if (!opened.has(href)) t.equal((await browser.open(href)).status, 200, href)
            opened.add(href)
          }
        }
        const asked = await browser.follow(`${issuer}/openapi.json`)
        const [{ url }] = JSON.parse(asked.body).servers
        const server = new URL(url, asked.url).href.replace(/\/$/, '')
        t.equal(server, issuer)
        t.equal((await browser.open(`${server}/v1/me`, { headers: bearer })).status, 200, '"Try it out" of the page')
      })

      await t.test('the metadata, and every address in it', async (t) => {
        for (const address of [
          `https://${HOST}/.well-known/oauth-authorization-server${path}`,
          `${issuer}/.well-known/oauth-authorization-server`,
        ]) {
          const metadata = JSON.parse((await browser.open(address)).body)
          t.equal(metadata.issuer, issuer, address)
          for (const [name, link] of Object.entries(metadata))
            if (name !== 'issuer' && String(link).startsWith('https:')) {
              const { status } = await browser.open(String(link))
              t.equal(status, name === 'authorization_endpoint' ? 400 : name.endsWith('_endpoint') ? 405 : 200, name)
            }
        }
      })

      await t.test('the metadata of its API, at the address that a challenge names', async (t) => {
        const { headers } = await browser.open(`${issuer}/v1/me`)
        const [, named = ''] = /resource_metadata="([^"]+)"/.exec(String(headers['www-authenticate'])) ?? []
        t.equal(named, `https://${HOST}/.well-known/oauth-protected-resource${path}`)
        for (const address of [named, `${issuer}/.well-known/oauth-protected-resource`])
          t.equal(JSON.parse((await browser.open(address)).body).resource, issuer, address)
      })

      const out = await browser.open(`${issuer}/v1/logout`, { method: 'POST', json: {}, headers: bearer })
      t.equal(out.status, 204)
      t.same(await browser.jar.getCookies(`${issuer}/v1/refresh`), [], 'nothing is left')
    })
  }
}

t.test('two issuers of one host keep a browser logged in at both', async (t) => {
  const [one, other] = [await behindProxy(t, '/one', true), await behindProxy(t, '/other', false)]
  const { browser } = one
  const atOther = browserAt(other.proxy)
  for (const { app } of [one, other]) await registered(app, 'ada@example.com')
  await login(browser, one.issuer, 'ada@example.com')
  await login(atOther, other.issuer, 'ada@example.com')
  for (const cookie of await atOther.jar.getCookies(other.issuer)) // one jar, as in one browser
    await browser.jar.setCookie(cookie, other.issuer, { sameSiteContext: 'strict' })
  t.equal((await browser.jar.getCookies(one.issuer)).length, 2)
  t.equal((await browser.open(`${one.issuer}/v1/refresh`, { method: 'POST', json: {} })).status, 200)
})

t.test(
  'a browser with the cookie of before keeps its login, and after one refresh the present cookie only',
  async (t) => {
    const { app, database, issuer, browser, proxy } = await behindProxy(t, '', true)
    await registered(app, 'ada@example.com')
    await login(browser, issuer, 'ada@example.com')
    const [now] = await browser.jar.getCookies(issuer)
    await updatedNow({ database })
    const before = browserAt(proxy)
    const attributes = 'Path=/v1; Secure; HttpOnly; SameSite=Strict; Max-Age=2592000'
    await before.jar.setCookie(`__Secure-signet_refresh=${now?.value}; ${attributes}`, `${issuer}/v1/login`)
    t.equal((await before.open(`${issuer}/v1/refresh`, { method: 'POST', json: {} })).status, 200)
    const kept = await before.jar.getCookies(`${issuer}/v1/refresh`)
    t.same(
      kept.map(({ key, path, secure, hostOnly }) => [key, path, secure, hostOnly]),
      [['__Host-signet_refresh', '/', true, true]],
    )
    t.equal((await before.open(`${issuer}/v1/refresh`, { method: 'POST', json: {} })).status, 200)
  },
)

t.test('the path of the issuer is taken off where a route follows, and nowhere else', async (t) => {
  const { app } = await startApp(t, { env: { ISSUER: 'https://host.example/v1' } })
  const CASES: [url: string, status: number][] = [
    ['/v1/me', 401],
    ['/v1/v1/me', 401],
    ['/v1/v1/v1/me', 404],
    ['/v1/health/live', 200],
    ['/v1/health/live?x', 200],
    ['/v1health/live', 404],
    ['/v1//health/live', 404],
    ['/V1/health/live', 404],
    ['/other/health/live', 404],
    ['/v1/..%2fhealth/live', 404],
  ]
  for (const [url, status] of CASES) t.equal((await app.inject({ url })).statusCode, status, url)
  t.same(servedBelow('').options, {}, 'an issuer without a path costs nothing')
})
