import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { rememberedDemands } from '../../src/verifier/gate/demands.ts'
import { limitedReport } from '../../src/verifier/gate/limited-report.ts'
import { runGate } from '../../src/verifier/gate/run-gate.ts'
import { startApp } from '../support/app.ts'

/** An issuer on a port, whose feed can be missing. */
async function issuing(t: Test) {
  const issuer = { hasFeed: false, url: '' }
  const listening = createServer(async (request, reply) => {
    const url = request.url ?? '/'
    if (!issuer.hasFeed && url.includes('revocations')) return reply.writeHead(500).end()
    const { statusCode, headers, rawPayload } = await (await server).app.inject({ url })
    reply.writeHead(statusCode, headers as Record<string, string>).end(rawPayload)
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => listening.once('listening', resolve))
  t.teardown(() => listening.close().closeAllConnections())
  issuer.url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
  const server = startApp(t, { env: { ISSUER: issuer.url } })
  await server
  return issuer
}

t.test('a gate whose revocations never came is not ready, and a slip fills no log', async (t) => {
  const issuer = await issuing(t)
  const lines: { event?: string; msg?: string }[] = []
  let heard = () => {}
  const gate = await runGate(
    {
      ...{ issuer: issuer.url, audience: ['x'], insecureIssuer: false, host: '127.0.0.1', port: 0 },
      ...{ metricsPort: undefined, revocations: true, onStale: 'accept', mirror: undefined },
    },
    (line) => {
      lines.push(line)
      heard()
    },
  )
  t.teardown(() => gate.close())
  const event = async (name: string) => {
    while (!lines.some((line) => line.event === name))
      await new Promise<void>((resolve) => {
        heard = resolve
      })
  }
  const isReady = async () => (await fetch(`${gate.url}/health/ready`)).status === 200
  await event('keys_fetched')
  await event('revocations_failed')
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  t.equal(await isReady(), false)
  for (let count = 0; count < 100; count += 1) await fetch(`${gate.url}/?user-${count}=x`)
  const slips = lines.filter(({ msg }) => msg !== undefined)
  t.equal(slips.length, 20)
})

t.test('the mirror is on a port of its own, and ends with the gate', async (t) => {
  const issuer = await issuing(t)
  issuer.hasFeed = true
  const gate = await runGate(
    {
      ...{ issuer: issuer.url, audience: ['x'], insecureIssuer: false, host: '127.0.0.1', port: 0 },
      ...{ metricsPort: undefined, revocations: true, onStale: 'accept', mirror: { host: '127.0.0.1', port: 0 } },
    },
    () => undefined,
  )
  while ((await fetch(`${gate.url}/health/ready`)).status !== 200);
  const path = '/.well-known/jwks.json'
  t.equal((await fetch(gate.url + path)).status, 401, 'where gateways ask, nothing but a token lets anybody in')
  const reply = await fetch(gate.mirrorUrl + path)
  t.equal(reply.status, 200)
  t.equal(await reply.text(), await (await fetch(issuer.url + path)).text())
  t.equal((await fetch(`${gate.mirrorUrl}/`)).status, 404, 'and where services follow, no token is judged')
  const whole = await (await fetch(`${gate.mirrorUrl}/.well-known/revocations?after=0`)).text()
  const { cursor } = JSON.parse(Buffer.from(whole.split('.')[1] ?? '', 'base64url').toString())
  const waiting = fetch(`${gate.mirrorUrl}/.well-known/revocations?after=${cursor}&wait=30`)
  await fetch(`${gate.mirrorUrl}/`)
  await gate.close()
  t.equal((await waiting).status, 200, 'who waits is answered before')
  await t.rejects(fetch(gate.mirrorUrl + path))
})

t.test('a gate ends when it has answered what it was asked before', async (t) => {
  const asked = Promise.withResolvers<ServerResponse>()
  const mute = createServer((_request, reply) => asked.resolve(reply)).listen(0, '127.0.0.1')
  await new Promise((resolve) => mute.once('listening', resolve))
  t.teardown(() => mute.close().closeAllConnections())
  const issuer = `http://127.0.0.1:${(mute.address() as AddressInfo).port}`
  const gate = await runGate(
    {
      ...{ issuer, audience: ['x'], insecureIssuer: false, host: '127.0.0.1', port: 0 },
      ...{ metricsPort: undefined, revocations: false, onStale: 'accept', mirror: undefined },
    },
    () => undefined,
  )
  const header = Buffer.from('{"alg":"RS256","typ":"at+jwt","kid":"k"}').toString('base64url')
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const headers = { authorization: `Bearer ${header}.e30.AAAA`, expect: '100-continue' }
  const question = request(gate.url, { agent, headers }).end()
  await once(question, 'continue') // it has come in
  const reply = await asked.promise
  const closing = gate.close()
  reply.writeHead(500).end()
  const [answer] = (await once(question, 'response')) as [IncomingMessage]
  t.equal(answer.resume().statusCode, 503)
  await closing
  t.pass('and not after the 75 seconds for which a connection is kept')
})

t.test('each message is told once a minute', async (t) => {
  const told: string[] = []
  const clock = { milliseconds: 5 }
  const tell = limitedReport(
    (message) => told.push(message),
    () => clock.milliseconds,
  )
  for (const message of ['a', 'a', 'b']) tell(message)
  clock.milliseconds += 59_999
  tell('a')
  t.same(told, ['a', 'b'])
  clock.milliseconds += 1
  tell('a')
  t.same(told, ['a', 'b', 'a'])
})

t.test('what a gateway demands is remembered, unless it is very long', async (t) => {
  const demandsOf = rememberedDemands()
  const long = `scope=${'a'.repeat(1000)}`
  t.equal(demandsOf('scope=a'), demandsOf('scope=a'))
  t.not(demandsOf(long), demandsOf(long))
  t.same(demandsOf(long), { scope: ['a'.repeat(1000)] })
})
