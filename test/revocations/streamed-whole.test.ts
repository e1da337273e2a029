import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { compactVerify, createLocalJWKSet, decodeJwt } from 'jose'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { revokeKey } from '../../src/keys/change-keyring.ts'
import { readKeyring } from '../../src/keys/manifest.ts'
import { bearer, newUser, startApp } from '../support/app.ts'

// One server on a real socket, with a whole that is longer than what the kernel buffers for a connection. A test goes
// on from what the one before left; the last one takes the keys away.

const WHOLE = '/.well-known/revocations?after=0'
const ENTRIES = 40_000
/** Of the whole in bytes, at the least: each id has 240 characters. */
const LEAST_BYTES = ENTRIES * 240

const server = await startApp(t, { ownKey: true })
const { app, database, folder, keyring, log } = server
await database.query(`
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ENTRIES})
  INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
  SELECT 'session', printf('%0240d', i), NULL, i, 9000000000 FROM n`)
await database.query(`UPDATE revocation_head SET seq = ${ENTRIES}`)
const { token } = await newUser(app)
await app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(token) }) // it looks at the store
await app.listen({ port: 0, host: '127.0.0.1' })
const { port } = app.server.address() as AddressInfo

const text = async (path = WHOLE) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()

/** Without a renewal, which comes after them when they are not fresh any more. */
const pagesOf = (text: string) => text.split('\n').filter((line) => line !== '' && decodeJwt(line).page !== undefined)

/** A client that asks for the whole and does not read it. @returns both ends, when the server can't write more */
async function stuckReader(): Promise<{ client: Socket; served: Socket }> {
  const client = connect(port, '127.0.0.1')
  const [[served]] = await Promise.all([once(app.server, 'connection'), once(client, 'connect')])
  client.pause().write(`GET ${WHOLE} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`)
  while (!served.writableNeedDrain) await turn()
  return { client, served }
}

async function rest(client: Socket): Promise<string> {
  const chunks: Buffer[] = []
  client.on('data', (chunk: Buffer) => void chunks.push(chunk)).resume()
  await once(client, 'close')
  return Buffer.concat(chunks).toString()
}

t.test('a reader that pauses gets every page, and the server keeps few of them for it', async (t) => {
  const { client, served } = await stuckReader()
  const others = await text()
  t.ok(others.length > LEAST_BYTES, 'others are served meanwhile')
  t.ok(served.bytesWritten < others.length / 2, `${served.bytesWritten} of ${others.length} bytes were written`)
  const [head = '', body = ''] = (await rest(client)).split('\r\n\r\n')
  t.match(head, new RegExp(`content-length: ${body.length}\\b`, 'i'))
  t.same(pagesOf(body), pagesOf(others), 'the same text')

  const keys = createLocalJWKSet((await app.inject('/.well-known/jwks.json')).json())
  const documents = await Promise.all(
    pagesOf(body).map(async (line) => JSON.parse(new TextDecoder().decode((await compactVerify(line, keys)).payload))),
  )
  t.equal(new Set(documents.flatMap(({ sessions }) => sessions ?? [])).size, ENTRIES + 1)
  t.same(
    documents.map(({ page, pages, whole }) => [page, pages, whole]),
    Array.from({ length: ENTRIES / 5000 + 1 }, (_, i) => [i + 1, ENTRIES / 5000 + 1, documents[0].whole]),
  )
})

t.test('HEAD has the headers of GET, with its length', async (t) => {
  const url = '/.well-known/revocations?after=0'
  const [get, head] = [await app.inject({ url }), await app.inject({ method: 'HEAD', url })]
  t.ok(Number(get.headers['content-length']) > LEAST_BYTES)
  t.same([head.headers['content-length'], head.body], [get.headers['content-length'], ''])
})

t.test('a reader that goes away leaves the server as it was', async (t) => {
  const { client, served } = await stuckReader()
  const closed = new Promise((resolve) => served.once('close', resolve))
  client.destroy()
  await closed
  t.ok((await text()).length > LEAST_BYTES)
  t.notMatch(log.join(''), /"level":"(warn|error|fatal)"/)
})

t.test('a reader that is slower than two changes of the key is cut off, and can see it', async (t) => {
  const { client } = await stuckReader()
  for (let i = 0; i < 2; i += 1) {
    await revokeKey(folder, keyring.signingKey().kid, { now: systemClock, bits: 2048, successor: true, force: true })
    await keyring.reload()
    await text()
  }
  const [head = '', body = ''] = (await rest(client)).split('\r\n\r\n')
  const [, announced] = /content-length: (\d+)/i.exec(head) ?? []
  t.ok(body.length < Number(announced), `${body.length} of ${announced} bytes`)
})

t.test('without a key that signs, changes and wholes are 503, and no cache keeps that', async (t) => {
  const { cursor } = decodeJwt((await text()).trimEnd().split('\n').at(-1) ?? '')
  for (const { kid } of await readKeyring(folder))
    await database.query('INSERT INTO revoked_keys (kid, revoked_at) VALUES ($1, 1) ON CONFLICT (kid) DO NOTHING', [
      kid,
    ])
  await keyring.reload()
  for (const after of ['0', cursor]) {
    const reply = await fetch(`http://127.0.0.1:${port}/.well-known/revocations?after=${after}&wait=30`)
    t.equal(reply.status, 503)
    t.equal(reply.headers.get('cache-control'), 'no-store')
    t.match(await reply.json(), { code: 'signing_unavailable' })
  }
})
