import { request } from 'node:http'
import t from 'tap'
import type { VerifierEvent } from '../../src/verifier/index.ts'
import { newUser } from '../support/app.ts'
import { FEED, ISSUER, JWKS, METADATA, mirroring } from './mirroring.ts'
import { code } from './verifying.ts'

const applied = (event: VerifierEvent) => event.type === 'revocations_applied'
const entries = (count: number) => (event: VerifierEvent) =>
  applied(event) && 'entries' in event && event.entries >= count

t.test('before the verifier has anything, there is nothing to serve', async (t) => {
  const { ask, issuer, failures } = await mirroring(t)
  issuer.down = true
  for (const path of [JWKS, `${JWKS}?kid=x`, METADATA, `${FEED}?after=0`, `${FEED}?after=0&wait=9`]) {
    const { status, headers, body } = await ask(path)
    t.same([status, body, headers['cache-control'], headers['retry-after']], [503, '', 'no-store', '1'], path)
  }
  t.same(failures, ['fetch failed (ECONNREFUSED)'])
})

t.test('byte for byte what the issuer says, with its age', async (t) => {
  const { ask, own, server, said, clock } = await mirroring(t)
  await own.hydrate()
  clock.milliseconds += 7500
  for (const path of [JWKS, METADATA]) {
    const { headers, body } = await server.app.inject({ url: path })
    const reply = await ask(path)
    t.equal(reply.body, body, path)
    for (const name of ['content-type', 'etag', 'cache-control', 'access-control-allow-origin'])
      t.equal(reply.headers[name], headers[name], `${path}: ${name}`)
    t.ok(Number(reply.headers.age) >= (path === JWKS ? 8 : 0), 'no younger than it is')
    const again = await ask(path, 'GET', headers.etag === undefined ? {} : { 'if-none-match': String(headers.etag) })
    t.equal(again.status, headers.etag === undefined ? 200 : 304)
    const head = await ask(path, 'HEAD')
    t.same([head.status, head.body, head.headers['content-length']], [200, '', String(body.length)])
  }
  const whole = await ask(`${FEED}?after=0`)
  const { body } = said.find(({ question }) => question === `${FEED}?after=0`) ?? {}
  t.equal(whole.body, body)
  const { headers } = await server.app.inject({ url: `${FEED}?after=0` })
  for (const name of ['content-type', 'cache-control', 'access-control-allow-origin'])
    t.equal(whole.headers[name], headers[name], name)
  t.equal(said.filter(({ question }) => question === METADATA).length, 1, 'the metadata is kept')
  clock.milliseconds += 3_600_000
  await ask(METADATA)
  t.equal(said.filter(({ question }) => question === METADATA).length, 2, 'for its max-age')
})

t.test('questions that the server would refuse are refused', async (t) => {
  const { ask, own } = await mirroring(t)
  await own.hydrate()
  const rows: [method: string, path: string, status: number][] = [
    ['GET', FEED, 404], // the whole feed is another document, which the verifier does not ask for
    ['GET', `${FEED}?wait=5`, 404],
    ...['after=', 'after=%20', `after=${'x'.repeat(101)}`, 'after=0&after=0', 'after=0&wait=31', 'after=0&wait=-1']
      .concat('after=0&wait=', 'after=0&wait=1&wait=1', 'after=0&wait=1.5', 'after=0&x=1')
      .map((query): [string, string, number] => ['GET', `${FEED}?${query}`, 400]),
    ['GET', `${FEED}?after=nonsense&wait=30`, 200],
    ['GET', `${FEED}/?after=0`, 404],
    ['GET', '/', 404],
    ['GET', '//', 400],
    ['GET', '/health/live', 404],
    ['HEAD', `${FEED}?after=0`, 200],
    ...['POST', 'PUT', 'DELETE'].map((method): [string, string, number] => [method, `${FEED}?after=0`, 405]),
    ['OPTIONS', JWKS, 204],
  ]
  for (const [method, path, status] of rows) t.equal((await ask(path, method)).status, status, `${method} ${path}`)
})

t.test('a kid that is not known makes it ask the issuer, and a flood of them does not', async (t) => {
  const { ask, own, issuer } = await mirroring(t)
  await own.hydrate()
  const searches = () => issuer.asked.filter((path) => path.startsWith(`${JWKS}?kid=`))
  const { body } = await ask(JWKS)
  const known = JSON.parse(body).keys[0].kid
  t.equal((await ask(`${JWKS}?kid=${known}`)).body, body)
  t.same(searches(), [])
  for (let i = 0; i < 20; i += 1) t.equal((await ask(`${JWKS}?kid=unknown-${i}`)).status, 200)
  t.equal(searches()[0], `${JWKS}?kid=unknown-0`)
  t.ok(searches().length <= 3, 'the cool-down of the verifier is seconds')
})

t.test('what the verifier would not take is not served', async (t) => {
  const { ask, own, between, seen, revoke, clock, failures, issuer } = await mirroring(t)
  await own.hydrate()
  const kept = { feed: (await ask(`${FEED}?after=0`)).body, jwks: (await ask(JWKS)).body }
  const metadata: [what: string, body: string][] = [
    ['of another issuer', JSON.stringify({ issuer: `${ISSUER}/` })],
    ['no JSON', 'x'],
    ['too long', JSON.stringify({ issuer: ISSUER, x: 'x'.repeat(100_000) })],
  ]
  for (const [what, body] of metadata) {
    between.change = () => body
    t.equal((await ask(METADATA)).status, 503, what)
    clock.milliseconds += 2000
  }
  t.equal(failures.length, 3)
  between.change = (body) => body.replace(/....\n$/, 'AAAA\n')
  const failed = seen((event) => event.type === 'revocations_failed')
  await revoke()
  await failed
  t.equal((await ask(`${FEED}?after=0`)).body, kept.feed, 'a line with another signature')
  issuer.down = true
  t.equal((await ask(`${JWKS}?kid=unknown`)).status, 503, 'whether it is good is not known')
  t.equal((await ask(JWKS)).body, kept.jwks)
  issuer.down = false
  const back = seen(entries(1))
  between.change = (body) => body
  await back
  t.not((await ask(`${FEED}?after=0`)).body, kept.feed)
  t.equal((await ask(METADATA)).status, 200)
})

t.test('services follow the mirror, through one follower of the issuer, and through an outage of it', async (t) => {
  const { own, issuer, follower, revoke, seen, server, clock } = await mirroring(t)
  await own.hydrate()
  const services = Array.from({ length: 5 }, () => follower(t))
  const strict = follower(t, { onStale: 'reject' })
  await Promise.all([...services, strict].map(({ verifier }) => verifier.hydrate()))
  const good = await newUser(server.app)
  const asked = issuer.asked.length
  const come = [...services, strict].map((service) => service.seen(entries(1)))
  const token = await revoke()
  await Promise.all([seen(entries(1)), ...come])
  for (const { verifier } of services) {
    t.equal(await code(verifier.verify(token)), 'invalid_token')
    t.equal(await code(verifier.verify(good.token)), 'good')
  }
  t.ok(issuer.asked.length <= asked + 3, `${issuer.asked.slice(asked)} and not one question for each service`)

  issuer.down = true
  const late = follower(t, { onStale: 'reject' })
  await late.verifier.hydrate()
  t.equal(await code(late.verifier.verify(token)), 'invalid_token', 'a service that starts meanwhile')
  t.equal(await code(late.verifier.verify(good.token)), 'good')
  clock.seconds += 100 // a mirror can't sign: what it has is over for everybody
  t.equal(await code(strict.verifier.verify(good.token)), 'revocations_stale')
  t.equal(await code(services[0]?.verifier.verify(good.token) ?? Promise.reject()), 'good')
  t.equal(await code(services[0]?.verifier.verify(token) ?? Promise.reject()), 'invalid_token')
})

t.test('who waits is answered with the lines after its cursor alone, and beyond the places at once', async (t) => {
  const { ask, own, mirror, revoke, said } = await mirroring(t, { mostWaiters: 2 })
  await own.hydrate()
  const cursorOf = (line: string) => JSON.parse(Buffer.from(line.split('.')[1] ?? '', 'base64url').toString()).cursor
  const lines = (body: string) => body.split('\n').slice(0, -1)
  const cursor = cursorOf(lines((await ask(`${FEED}?after=0`)).body).at(-1) ?? '')
  const waiting = ask(`${FEED}?after=${cursor}&wait=30`)
  while (mirror.waiters < 1) await new Promise((resolve) => setImmediate(resolve))
  const turnedAway = await ask(`${FEED}?after=${cursor}&wait=30`)
  t.equal(turnedAway.status, 200)
  t.match(turnedAway.headers['retry-after'], /^([2-9]|10)$/)
  await revoke()
  const { body, headers } = await waiting
  t.equal('retry-after' in headers, false)
  t.equal(body, said.findLast(({ question }) => question.startsWith(FEED))?.body)
  t.equal(lines(body).length, 1)
  t.equal((await ask(`${FEED}?after=${cursor}`)).body, body, 'for the next one with this cursor')
  const newest = cursorOf(lines(body)[0] ?? '')
  t.equal((await ask(`${FEED}?after=${newest}`)).body, body, 'nothing newer: the same again')
  t.equal(lines((await ask(`${FEED}?after=0`)).body).length, 2, 'the whole, and the change')
})

t.test('whoever hangs up frees its place, and at the end everybody is answered', async (t) => {
  const { ask, own, mirror, port } = await mirroring(t)
  await own.hydrate()
  const { body } = await ask(`${FEED}?after=0`)
  const { cursor } = JSON.parse(Buffer.from(body.split('.')[1] ?? '', 'base64url').toString())
  const waiting = Array.from({ length: 3 }, () => ask(`${FEED}?after=${cursor}&wait=30`))
  while (mirror.waiters < 3) await new Promise((resolve) => setImmediate(resolve))
  const gone = request({ port, path: `${FEED}?after=${cursor}&wait=30`, agent: false }).end()
  gone.on('error', () => undefined)
  while (mirror.waiters < 4) await new Promise((resolve) => setImmediate(resolve))
  gone.destroy()
  while (mirror.waiters > 3) await new Promise((resolve) => setImmediate(resolve))
  mirror.close()
  for (const { status } of await Promise.all(waiting)) t.equal(status, 200)
  t.equal(mirror.waiters, 0)
})
