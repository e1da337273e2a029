import t from 'tap'
import { createSession } from '../../src/client/index.ts'
import { isBrowser, platformOf } from '../../src/client/platform.ts'
import { ISSUER, pair } from './fake-server.ts'
import { CREDENTIALS } from './tabs.ts'

t.test('in a browser: the cookie, and relative addresses belong to where the page is now', async (t) => {
  t.notOk(isBrowser())
  t.same([platformOf({}).base, platformOf({}).page.isHidden()], [undefined, undefined], 'no page here')
  const document = { baseURI: `${ISSUER}/shop/`, hidden: true }
  Object.defineProperty(globalThis, 'document', { value: document, configurable: true })
  t.teardown(() => Reflect.deleteProperty(globalThis, 'document'))
  t.ok(isBrowser() && platformOf({}).page.isHidden())

  const asked: [unknown, RequestInit | undefined][] = []
  const fetch: typeof globalThis.fetch = async (input, init) => {
    asked.push([input, init])
    return pair()
  }
  const session = createSession({ issuer: ISSUER, fetch, channel: undefined })
  t.teardown(() => session.close())
  await session.login(CREDENTIALS)
  t.match(JSON.parse(String(asked[0]?.[1]?.body)), { transport: 'cookie' })
  await session.fetch('orders')
  document.baseURI = `${ISSUER}/cart/`
  await session.fetch('orders')
  t.same(
    asked.slice(1).map(([input]) => input),
    [`${ISSUER}/shop/orders`, `${ISSUER}/cart/orders`],
  )
  t.ok(asked.slice(1).every(([, init]) => new Headers(init?.headers).has('authorization')))
})
