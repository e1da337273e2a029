import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { createClientKeys } from '../../src/clients/client-key-source.ts'
import { startApp } from '../support/app.ts'
import { assertion, clientKey } from '../support/assertion.ts'
import { NOW, outcome, register, send } from '../support/oauth.ts'

const key = clientKey('ES256')
const header = { alg: key.alg, kid: key.kid }

/** The server on which a client publishes its keys. @returns its address, and the paths that were requested */
async function keysAt(t: Test, listener: RequestListener) {
  const asked: string[] = []
  const server = createServer((request, reply) => {
    asked.push(String(request.url))
    listener(request, reply)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

t.test('an address that failed is not asked again at once, whoever sends how many assertions', async (t) => {
  const server = await startApp(t, { now: () => NOW })
  const { base, asked } = await keysAt(t, (_request, reply) => void reply.writeHead(500).end())
  const { id } = await register(server, { jwks_uri: `${base}/keys` })
  for (let i = 0; i < 5; i += 1)
    t.equal(outcome(await send(server.app, 'token', await assertion(key, id))), 'invalid_client')
  t.equal(asked.length, 1)
})

t.test('an address that never answers is left after three seconds, and the log says so', async (t) => {
  const server = await startApp(t, { now: () => NOW })
  const { base } = await keysAt(t, () => undefined)
  const { id } = await register(server, { jwks_uri: `${base}/keys` })
  const patience: number[] = []
  const { timeout } = AbortSignal
  mock.method(AbortSignal, 'timeout', (milliseconds: number) => {
    patience.push(milliseconds)
    return timeout.call(AbortSignal, 50)
  })
  t.teardown(() => mock.restoreAll())
  t.equal(outcome(await send(server.app, 'token', await assertion(key, id))), 'invalid_client')
  t.same(new Set(patience), new Set([3000]))
  t.match(server.log.join(''), /the address of the keys: .*timeout/)
})

t.test('the keys of a bounded number of addresses are kept: the oldest goes first', async (t) => {
  const keys = createClientKeys()
  const of = (i: number) => keys({ jwks: null, jwksUri: `https://client.example/${i}` })
  const first = of(0)
  t.equal(of(0), first)
  for (let i = 1; i < 500; i += 1) of(i)
  t.equal(of(0), first, 'still there')
  const last = of(499)
  of(500)
  t.equal(of(499), last)
  t.not(of(0), first)
})

t.test('a bounded number of failures is remembered', async (t) => {
  const { base, asked } = await keysAt(t, (_request, reply) => void reply.writeHead(500).end())
  const keys = createClientKeys()
  const ask = async (i: number) => {
    const find = keys({ jwks: null, jwksUri: `${base}/${i}` })
    await t.rejects(async () => find(header, { payload: '', signature: '' }))
  }
  for (let i = 0; i < 500; i += 1) await ask(i)
  await ask(0)
  t.equal(asked.length, 500, 'known to fail')
  await ask(500)
  await ask(0)
  t.equal(asked.filter((path) => path === '/0').length, 2, 'forgotten, and so asked')
})

t.test('what a row of the store says is not fetched when it is no address for keys', async (t) => {
  const keys = createClientKeys()
  for (const jwksUri of ['http://client.example/', 'file:///keys', 'https://a:b@client.example/', 'keys', '', null])
    t.throws(() => keys({ jwks: null, jwksUri }), { name: 'TypeError', message: 'a client without keys' }, `${jwksUri}`)
})
