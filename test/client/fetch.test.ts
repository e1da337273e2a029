import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createSession } from '../../src/client/index.ts'
import { ISSUER, json, pair, problem, type Reply, type Seen } from './fake-server.ts'
import { API, CREDENTIALS, OVER, scene } from './tabs.ts'

const bearerOf = ({ headers }: Seen) => headers.get('authorization')?.replace('Bearer ', '')
/** Refuses the first token that it sees, and accepts every other one. */
const refusesFirst = (refusal: () => Response) => {
  let first: string | undefined
  return (seen: Seen): Reply => {
    first ??= bearerOf(seen)
    return bearerOf(seen) === first ? refusal() : json({ sent: seen.body })
  }
}
const challenge = (error: string, more = '') =>
  new Response(null, { status: 401, headers: { 'www-authenticate': `Bearer realm="x", error="${error}"${more}` } })

t.test('a 401 that a new token cures leads to one refresh and one repetition', async (t) => {
  const CURED: [what: string, refusal: () => Response][] = [
    ['token_expired', () => problem('token_expired', 401)],
    ['token_stale', () => problem('token_stale', 401)],
    ['invalid_token', () => problem('invalid_token', 401)],
    ['a challenge without a body', () => challenge('invalid_token')],
  ]
  for (const [what, refusal] of CURED) {
    const { session, server, done } = scene(t, {}, { '/orders': refusesFirst(refusal) })
    await done(session.login(CREDENTIALS))
    const response = await done(session.fetch(API, { method: 'POST', body: '{"a":1}' }))
    t.same([response.status, await response.json()], [200, { sent: { a: 1 } }], what)
    t.same([server.count('/orders'), server.count('/v1/refresh')], [2, 1], what)
  }
  const LEFT: [what: string, refusal: () => Response][] = [
    ['missing_token', () => problem('missing_token', 401)],
    ['a wrong password', () => problem('invalid_credentials', 401)],
    ['a code of another API', () => problem('nope', 401)],
    ['no code', () => new Response('no', { status: 401 })],
    ['403 with the code', () => problem('token_expired', 403)],
  ]
  for (const [what, refusal] of LEFT) {
    const { session, server, done } = scene(t, {}, { '/orders': refusal })
    await done(session.login(CREDENTIALS))
    const response = await done(session.fetch(API))
    t.ok([401, 403].includes(response.status), what)
    await t.resolves(response.text(), 'the body can still be read')
    t.same([server.count('/orders'), server.count('/v1/refresh')], [1, 0], what)
  }
})

t.test('an API that refuses every token gets no more than two refreshes a minute out of it', async (t) => {
  const { session, server, done } = scene(t, {}, { '/orders': () => problem('invalid_token', 401) })
  await done(session.login(CREDENTIALS))
  for (let second = 0; second < 300; second++) t.equal((await done(session.fetch(API), 1000)).status, 401)
  t.ok(server.count('/v1/refresh') <= 11, `${server.count('/v1/refresh')} in five minutes`)
  t.equal(session.state, 'signed-in')
})

t.test('which bodies are repeated', async (t) => {
  const stream = () =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('x'))
        controller.close()
      },
    })
  async function* chunks() {
    yield new TextEncoder().encode('x')
  }
  const CASES: [what: string, input: string | Request, init: object | undefined, sent: number][] = [
    ['text', API, { method: 'POST', body: 'x' }, 2],
    ['a form', API, { method: 'POST', body: new URLSearchParams('a=1') }, 2],
    ['parts', API, { method: 'POST', body: new FormData() }, 2],
    ['bytes', API, { method: 'POST', body: new Uint8Array(3) }, 2],
    ['a blob', API, { method: 'POST', body: new Blob(['x']) }, 2],
    ['a Request', new Request(API, { method: 'POST', body: 'x' }), undefined, 2],
    ['nothing', API, undefined, 2],
    ['a stream', API, { method: 'POST', body: stream(), duplex: 'half' }, 1],
    ['an iterator', API, { method: 'POST', body: chunks(), duplex: 'half' }, 1],
  ]
  for (const [what, input, init, sent] of CASES) {
    const { session, server, done } = scene(t, {}, { '/orders': refusesFirst(() => problem('token_expired', 401)) })
    await done(session.login(CREDENTIALS))
    const response = await done(session.fetch(input, init))
    t.equal(server.count('/orders'), sent, what)
    t.equal(response.status, sent === 2 ? 200 : 401, what)
    t.equal(server.count('/v1/refresh'), 1, `${what}: the next request has a new token`)
  }
})

t.test('when the refresh after a 401 fails, the caller is not told to log in', async (t) => {
  const { session, server, done, codeOf } = scene(t, {}, { '/orders': () => problem('token_expired', 401) })
  await done(session.login(CREDENTIALS))
  server.routes['/v1/refresh'] = () => problem('overloaded', 503)
  t.equal(await codeOf(session.fetch(API)), 'overloaded')
  t.equal(session.state, 'signed-in')
  server.routes['/v1/refresh'] = OVER
  const ended = scene(t, {}, { '/orders': () => problem('invalid_token', 401), '/v1/refresh': OVER })
  await ended.done(ended.session.login(CREDENTIALS))
  t.equal((await ended.done(ended.session.fetch(API))).status, 401, 'the answer of the API, when the session is over')
  t.same(ended.changes.at(-1), ['signed-out', 'ended'])
})

t.test('who gets the token', async (t) => {
  const { session, server, done } = scene(t, { apiOrigins: ['https://api.example.com'] })
  const sent = async (input: string | URL | Request, init?: RequestInit) => {
    await done(session.fetch(input, init))
    return server.seen.at(-1)?.headers.get('authorization') ?? 'none'
  }
  await done(session.login(CREDENTIALS))
  const own = `Bearer ${await session.token()}`
  t.equal(await sent(API), own)
  t.equal(await sent(new URL('https://api.example.com/x')), own)
  t.equal(await sent(new Request('https://api.example.com/x', { headers: { 'x-a': '1' } })), own)
  t.equal(server.seen.at(-1)?.headers.get('x-a'), '1', 'headers of a Request stay')
  t.equal(await sent(API, { headers: { Authorization: 'Basic x' } }), 'Basic x', 'one of its own stays')
  t.equal(await sent('https://evil.example/x'), 'none')
  t.equal(await sent('https://app.example.com/x'), 'none', 'the page itself is no API')
  await done(session.logout())
  t.equal(await sent(API), 'none', 'signed out: public routes still work')
})

t.test('on a redirect to another origin the platform drops the token', async (t) => {
  const listen = async (answer: (headers: Record<string, unknown>) => [number, Record<string, string>]) => {
    const server = createServer(({ headers }, response) => response.writeHead(...answer(headers)).end()).listen(
      0,
      '127.0.0.1',
    )
    await once(server, 'listening')
    t.teardown(() => void server.close())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  let got: unknown = 'nothing'
  const elsewhere = await listen(({ authorization }) => {
    got = authorization
    return [204, {}]
  })
  const api = await listen(() => [307, { location: `${elsewhere}/x` }])
  const fetch: typeof globalThis.fetch = async (input, init) =>
    String(input).startsWith(api) ? globalThis.fetch(input, init) : pair()
  const session = createSession({ issuer: ISSUER, transport: 'body', apiOrigins: [api], fetch })
  t.teardown(() => session.close())
  await session.login(CREDENTIALS)
  t.equal((await session.fetch(`${api}/x`)).status, 204)
  t.equal(got, undefined)
})

t.test('step-up: the application asks for the password, and the request is repeated', async (t) => {
  const stepsUp = (t: Test, onStepUp?: (demand: { maxAge: number }) => Promise<void>) => {
    const events: unknown[] = []
    const reply = refusesFirst(() => challenge('insufficient_user_authentication', ', max_age="300"'))
    const reauthenticate = ({ body }: Seen) =>
      (body as { password: string }).password === 'right' ? pair() : problem('invalid_credentials', 401)
    const onEvent = (event: unknown) => events.push(event)
    const found = scene(
      t,
      { onEvent, ...(onStepUp && { onStepUp }) },
      { '/orders': reply, '/v1/reauthenticate': reauthenticate },
    )
    return { ...found, events }
  }
  let asked = 0
  let codes: unknown[] = []
  const good = stepsUp(t, async ({ maxAge }) => {
    asked += 1
    t.equal(maxAge, 300)
    codes = [await good.session.reauthenticate('wrong').catch(({ code }) => code)]
    await good.session.reauthenticate('right')
  })
  await good.done(good.session.login(CREDENTIALS))
  const payments = [1, 2, 3].map(() => good.session.fetch(API, { method: 'POST', body: '{}' }))
  const statuses = (await good.done(Promise.all(payments))).map(({ status }) => status)
  t.same([statuses, asked, codes], [[200, 200, 200], 1, ['invalid_credentials']])
  t.match(good.events[0], { type: 'step-up', maxAge: 300 })
  t.equal(good.server.count('/v1/refresh'), 0)

  const cancelled = stepsUp(t, async () => {
    throw new Error('the person closed the dialog')
  })
  await cancelled.done(cancelled.session.login(CREDENTIALS))
  t.equal((await cancelled.done(cancelled.session.fetch(API))).status, 401, 'cancelled')
  const nobody = stepsUp(t)
  await nobody.done(nobody.session.login(CREDENTIALS))
  t.equal((await nobody.done(nobody.session.fetch(API))).status, 401, 'nobody asks')
  t.equal(nobody.events.length, 1)
})

t.test('a route that asks for a fresh login and a token that ran out: each is cured once', async (t) => {
  const seen: string[] = []
  const reply = (one: Seen) => {
    const token = bearerOf(one) ?? ''
    if (!seen.includes(token)) seen.push(token)
    return [problem('token_expired', 401), challenge('insufficient_user_authentication'), json({})][
      seen.indexOf(token)
    ] as Response
  }
  const found = scene(
    t,
    {
      onStepUp({ maxAge }) {
        t.ok(Number.isNaN(maxAge))
        return found.session.reauthenticate('x')
      },
    },
    { '/orders': reply, '/v1/reauthenticate': () => pair() },
  )
  await found.done(found.session.login(CREDENTIALS))
  t.equal((await found.done(found.session.fetch(API))).status, 200)
  t.equal(seen.length, 3)
})

t.test('the routes that change the session', async (t) => {
  const { session, server, done, changes, codeOf } = scene(t, {}, { '/v1/me/password': () => pair({ roles: ['new'] }) })
  await done(session.login(CREDENTIALS))
  const change = { method: 'put', body: '{}' }
  const response = await done(session.fetch(`${ISSUER}/v1/me/password`, change))
  t.ok(((await response.json()) as { access_token: string }).access_token, 'the caller can read the answer')
  t.match(server.seen.at(-1)?.init, { credentials: 'include' })
  t.same(session.claims?.roles, ['new'], 'its tokens are taken')
  server.routes['/v1/me'] = () => problem('insufficient_user_authentication', 401)
  await done(session.fetch(`${ISSUER}/v1/me`, { method: 'DELETE' }))
  t.equal(session.state, 'signed-in')
  server.routes['/v1/me'] = () => new Response(null, { status: 204 })
  await done(session.fetch(`${ISSUER}/v1/me`))
  t.equal(session.state, 'signed-in', 'GET deletes nothing')
  await done(session.fetch(`${ISSUER}/v1/me`, { method: 'DELETE' }))
  t.same(changes.at(-1), ['signed-out', 'deleted'])
  t.equal(await codeOf(session.reauthenticate('x')), 'signed_out')
})
