import { connect } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { withoutPort } from '../../src/http/forwarded-for.ts'
import { bearer, startApp } from '../support/app.ts'
import { logIn, post, signUp } from '../support/front-door.ts'
import { limited } from '../support/limited-server.ts'

t.test('an address is cut out of what proxies write, and nothing else is changed', async (t) => {
  const CASES: [written: string, address: string][] = [
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7:51234', '203.0.113.7'],
    [' 203.0.113.7:1 ', '203.0.113.7'],
    ['203.0.113.7:_hidden-1.x', '203.0.113.7'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[203.0.113.7]:1', '203.0.113.7'],
    ['[2001:DB8::1]:_x', '2001:DB8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['2001:db8::1:443', '2001:db8::1:443'], // without brackets the end is a part of the address
    ['::ffff:203.0.113.7', '::ffff:203.0.113.7'],
    ['[::ffff:203.0.113.7]:443', '::ffff:203.0.113.7'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%eth0]:443', 'fe80::1'],
  ]
  for (const [written, address] of CASES) t.equal(withoutPort(written), address, written)
  const NO_ADDRESS = ['', 'unknown', '_hidden', '203.0.113.7:', '203.0.113.7:123456', '203.0.113.7:x']
  const MORE = [
    '300.1.1.1:80',
    '1.2.3:80',
    '[2001:db8::1',
    '[]',
    '[]:443',
    '[x]:443',
    'a:b',
    '203.0.113.7:80:80',
    ':80',
  ]
  for (const written of [...NO_ADDRESS, ...MORE]) t.equal(withoutPort(written), written)
})

t.test('whatever the address and the port, the address comes out', async () => {
  const port = fc.option(fc.integer({ min: 0, max: 65_535 }), { nil: undefined })
  const end = (number: number | undefined) => (number === undefined ? '' : `:${number}`)
  fc.assert(fc.property(fc.ipV4(), port, (ip, number) => withoutPort(`${ip}${end(number)}`) === ip))
  fc.assert(fc.property(fc.ipV6(), port, (ip, number) => withoutPort(`[${ip}]${end(number)}`) === ip))
  fc.assert(fc.property(fc.string(), (text) => withoutPort(withoutPort(text)) === withoutPort(text)))
})

t.test('behind a proxy that writes ports, limits, sessions, audit and log see the address alone', async (t) => {
  const { app, database, log } = await limited(t, { TRUST_PROXY: '10.0.0.0/8', RATE_LIMIT_LOGIN: '3' })
  const { email } = await signUp(app, { ip: '192.0.2.99' })
  const from = (forwarded: string) =>
    app.inject({
      method: 'POST',
      url: '/v1/login',
      payload: { email, password: 'correct horse battery staple' },
      remoteAddress: '10.0.0.1',
      headers: { 'x-forwarded-for': forwarded },
    })
  for (const port of [1, 2]) t.equal((await from(`203.0.113.7:${port}`)).statusCode, 200)
  const { access_token } = (await from('198.51.100.1, 203.0.113.7:51234, 10.0.0.2:8080')).json()
  t.equal((await from('203.0.113.7:4')).statusCode, 429, 'another port is the same client')
  t.equal((await from('203.0.113.8:1')).statusCode, 200, 'another address is another one')
  t.equal((await from('[2001:db8::1]:443')).statusCode, 200)

  const { sessions } = (await app.inject({ url: '/v1/sessions', headers: bearer(access_token) })).json()
  const kept = [...Array(3).fill('203.0.113.7'), '192.0.2.99', '2001:db8::1', '203.0.113.8'].sort()
  t.same(sessions.map(({ ip }: { ip: string }) => ip).sort(), kept)
  const rows = await database.query("SELECT ip FROM audit_events WHERE event = 'login_succeeded'")
  t.same(rows.map(({ ip }) => ip).sort(), kept)
  const lines = log
    .map((line) => JSON.parse(line))
    .filter(({ msg, route }) => msg === 'answered' && route === '/v1/login')
  t.same(new Set(lines.map(({ ip }) => ip)), new Set(kept))
  t.notMatch(log.join(''), /TRUST_PROXY/)
})

t.test('a trusted proxy that sends no address is told once, and the address is none', async (t) => {
  const { app, log, database } = await startApp(t, { env: { TRUST_PROXY: '10.0.0.0/8' } })
  const { email } = await signUp(app)
  const from = (forwarded: string, remoteAddress = '10.0.0.1') =>
    app.inject({
      method: 'POST',
      url: '/v1/login',
      payload: { email, password: 'correct horse battery staple' },
      remoteAddress,
      headers: { 'x-forwarded-for': forwarded },
    })
  const warned = () => log.map((line) => JSON.parse(line)).filter(({ msg }) => /TRUST_PROXY/.test(msg))
  t.equal((await from('unknown', '192.0.2.1')).statusCode, 200)
  t.equal((await from('')).statusCode, 200)
  t.same(warned(), [], 'not of a client that is no proxy, nor of a header with nothing in it')
  t.equal((await from(`203.0.113.7, ${'x'.repeat(500)}`)).statusCode, 200)
  t.equal((await from('unknown')).statusCode, 200)
  t.match(warned(), [{ level: 'warn', proxy: '10.0.0.1', sent: 'x'.repeat(80) }])
  t.equal(warned().length, 1)
  const rows = await database.query("SELECT ip FROM audit_events WHERE event = 'login_succeeded' AND ip IS NULL")
  t.equal(rows.length, 2)
  const answered = log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'answered')
  t.notOk(answered.some(({ ip }) => ip !== null && !/^[\d.]+$/.test(ip)))
})

t.test('no control character of a user agent gets into the log or a table', async (t) => {
  const { app, database, log } = await startApp(t)
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  const { email } = await signUp(app)
  const body = JSON.stringify({ email, password: 'correct horse battery staple' })
  const agent = Buffer.from('A\x80\x85\x9bB\tC', 'latin1')
  const head = `POST /v1/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nUser-Agent: `
  const reply = await talk(Number(port), Buffer.concat([Buffer.from(head), agent, Buffer.from(`\r\n\r\n${body}`)]))
  t.match(reply, /^HTTP\/1.1 200/)
  const shown = 'A\ufffd\ufffd\ufffdB\ufffdC'
  const agents = async () =>
    (await database.query('SELECT user_agent FROM sessions UNION SELECT user_agent FROM audit_events')).map(
      ({ user_agent }) => user_agent,
    )
  t.ok((await agents()).includes(shown))
  t.ok(log.some((line) => JSON.parse(line).user_agent === shown))

  const BIDI = ['\u061c', '\u200e', '\u200f', '\u202a', '\u202e', '\u2066', '\u2069', '\u2028', '\u2029', '\u007f']
  await logIn(app, email, { userAgent: `x${BIDI.join('y')}${'z'.repeat(300)}` })
  const rest = `x${BIDI.map(() => '\ufffd').join('y')}`
  t.ok((await agents()).includes(`${rest}${'z'.repeat(256 - rest.length)}`))
  for (const text of [...(await agents()), ...log])
    t.notMatch(String(text).trimEnd(), /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u)
})

t.test('two Host lines are refused, on every route and on none', async (t) => {
  const { app } = await startApp(t, { env: { CORS_ORIGINS: 'https://a.example' } })
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  for (const path of ['/v1/me', '/health/live', '/nothing', '/oauth/token'])
    for (const hosts of ['Host: a\r\nHost: b', 'Host: a\r\nX: y\r\nhOST: a']) {
      const reply = await talk(Number(port), `GET ${path} HTTP/1.1\r\n${hosts}\r\nConnection: close\r\n\r\n`)
      t.match(reply, /^HTTP\/1.1 400 .*malformed_request/s, `${path} ${hosts}`)
    }
  const asks = 'Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\nConnection: close'
  for (const path of ['/.well-known/jwks.json', '/v1/me']) {
    const reply = await talk(Number(port), `OPTIONS ${path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n${asks}\r\n\r\n`)
    t.match(reply, /^HTTP\/1.1 400 .*malformed_request/s, `a preflight of ${path}`)
  }
  const one = await talk(Number(port), 'GET /health/live HTTP/1.1\r\nHost: a\r\nX-Host: b\r\nConnection: close\r\n\r\n')
  t.match(one, /^HTTP\/1.1 200/)
  t.equal((await post(app, '/v1/login', {})).statusCode, 400)
})

/** Sends bytes as they are. @returns all that comes back */
function talk(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('close', () => resolve(text)).on('error', reject)
  })
}
