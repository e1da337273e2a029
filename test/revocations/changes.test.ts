import { compactVerify, createLocalJWKSet } from 'jose'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { App } from '../../src/http/app-type.ts'
import { revokeKey } from '../../src/keys/change-keyring.ts'
import type { ChangesClaims } from '../../src/revocations/changes-format.ts'
import { anotherNode } from '../support/another-node.ts'
import { bearer, newUser, startApp } from '../support/app.ts'
import { ModelFollower } from './model-follower.ts'

const FEED = '/.well-known/revocations'

interface Answer {
  readonly documents: readonly ChangesClaims[]
  readonly headers: Record<string, unknown>
  readonly body: string
  readonly last: ChangesClaims
}

/** The changes as an integrator reads them: every line is verified like a token. */
async function read(app: App, after: string, wait = 0, headers: Record<string, string> = {}): Promise<Answer> {
  const keys = createLocalJWKSet((await app.inject('/.well-known/jwks.json')).json())
  const reply = await app.inject({ url: `${FEED}?after=${after}&wait=${wait}`, headers })
  if (reply.statusCode !== 200) throw new Error(`${reply.statusCode} ${reply.body}`)
  const documents: ChangesClaims[] = []
  for (const line of reply.body.split('\n').slice(0, -1)) {
    const { payload, protectedHeader } = await compactVerify(line, keys, { algorithms: ['RS256'] })
    if (protectedHeader.typ !== 'revocation-changes+jwt') throw new Error(`typ ${protectedHeader.typ}`)
    documents.push(JSON.parse(new TextDecoder().decode(payload)))
  }
  const last = documents.at(-1)
  if (last === undefined) throw new Error('no document')
  return { documents, headers: reply.headers, body: reply.body, last }
}

const logout = (app: App, token: string) => app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(token) })

/** Ends a session by a login of its own. @returns when this node refuses it */
async function revoke(app: App): Promise<void> {
  const { token } = await newUser(app)
  await logout(app, token)
}

t.test('whoever has nothing gets the whole: one page, fresh, typed, for any origin and any cache', async (t) => {
  const { app, config } = await startApp(t)
  const { documents, headers, last } = await read(app, '0')
  const { history, cursor, iat, exp, whole, ...rest } = last
  t.same(rest, { iss: config.ISSUER, after: 0, seq: 0, page: 1, pages: 1 })
  t.equal(documents.length, 1)
  t.match(history, /^[\w-]{1,64}$/)
  t.match(whole, /^[\w-]{16,64}$/)
  t.match(cursor, /^[\w.-]{1,100}$/)
  t.equal(exp - iat, config.FEED_TTL)
  t.ok(iat <= systemClock() && exp > systemClock())
  t.match(headers, {
    'content-type': 'application/revocations-seq',
    'cache-control': 'public, max-age=1',
    'access-control-allow-origin': '*',
    'access-control-expose-headers': 'retry-after',
    etag: undefined,
    'retry-after': undefined,
  })
})

t.test('a change comes alone, and the wait ends with it', async (t) => {
  const { app, database } = await startApp(t)
  await revoke(app)
  const { token } = await newUser(app)
  const [ended] = await database.query('SELECT id FROM sessions WHERE ended_at IS NULL')
  const { cursor, seq } = (await read(app, '0')).last
  const [changed] = await Promise.all([read(app, cursor, 30), logout(app, token)])
  t.equal(changed.documents.length, 1)
  t.match(changed.last, { after: seq, seq: seq + 1, sessions: [ended?.id] })
  t.ok((changed.last.until ?? 0) >= systemClock() + 900)
  t.notOk('page' in changed.last || 'accounts' in changed.last || 'keys' in changed.last)
  t.ok(changed.body.length < 1500, `${changed.body.length} bytes`)
  t.equal((await read(app, cursor)).body, changed.body, 'signed once, the same text for the same question')
})

t.test('nothing new is a renewal: at once without a wait, and after the wait', async (t) => {
  const clock = { seconds: systemClock() }
  const { app } = await startApp(t, { now: () => clock.seconds })
  await revoke(app)
  const { cursor, seq, iat } = (await read(app, '0')).last
  let asked = cursor
  for (const wait of [0, 1, ...Array(7).fill(0)]) {
    const { documents, last } = await read(app, asked, wait, { 'if-none-match': '*' })
    t.equal(documents.length, 1)
    t.match(last, { after: seq, seq, iat })
    t.notOk('until' in last || 'sessions' in last || 'page' in last)
    t.not(last.cursor, asked, 'a cache that keeps this answer can not give it to the next question')
    asked = last.cursor
  }
  t.same([asked, (await read(app, asked)).last.cursor], [`${cursor}.9`, cursor], 'ten of them are enough')
  const [ended] = await Promise.all([read(app, `${cursor}.9`, 30), revoke(app)])
  t.match(ended.documents, [{ after: seq, seq: seq + 1, sessions: [/./] }])
  t.equal(ended.last.cursor.split('.').length, 3)
})

t.test('what is no cursor of this history gets the whole; a cursor that is ahead has nothing to get', async (t) => {
  const { app } = await startApp(t)
  await revoke(app)
  const { cursor } = (await read(app, '0')).last
  const [history = '', seq = '', keys = ''] = cursor.split('.')
  for (const after of ['0', 'x', '-', 'A'.repeat(100), `${history}.${seq}`, `AAAAAAAA.${seq}.${keys}`])
    t.match((await read(app, after, 30)).documents, [{ page: 1, pages: 1, sessions: [/./] }], after)
  const ahead = await read(app, `${history}.${Number(seq) + 5}.${keys}`, 1)
  t.match(ahead.documents, [{ after: Number(seq), seq: Number(seq), page: undefined, cursor: `${cursor}.1` }])
  const otherKeys = read(app, `${history}.${seq}.AAAAAAAA`, 30)
  const first = await Promise.race([otherKeys, read(app, cursor, 2).then(() => 'it waited')])
  t.match(first, { last: { after: Number(seq), cursor } }, 'other keys')
})

t.test('a question that does not fit the pattern is refused', async (t) => {
  const { app } = await startApp(t)
  for (const query of [
    'after=',
    'after=a%20b',
    'after=%C3%A9',
    'after=a/b',
    `after=${'a'.repeat(101)}`,
    'after=0&after=1',
  ]) {
    const reply = await app.inject(`${FEED}?${query}`)
    t.equal(reply.statusCode, 400, query)
    t.equal(reply.json().code, 'validation_failed', query)
  }
})

t.test('a key that is revoked is named at once, and what it signed is signed anew', async (t) => {
  const { app, folder, keyring } = await startApp(t)
  await revoke(app)
  const before = (await read(app, '0')).last
  await revoke(app)
  const changed = (await read(app, before.cursor, 30)).last
  const { kid } = keyring.signingKey()
  await revokeKey(folder, kid, { now: systemClock, bits: 2048, successor: true, force: true })
  const waits = read(app, changed.cursor, 30)
  await keyring.reload()
  t.match((await waits).documents, [{ after: changed.seq, seq: changed.seq, keys: [kid] }])
  // `read` verifies against the JWKS, which the old key has left.
  t.match((await read(app, before.cursor)).documents, [{ seq: changed.seq, keys: [kid] }])
  t.match((await read(app, '0')).last, { keys: [kid] })
})

t.test('two servers give the same texts, and a cursor of one is good at the other', async (t) => {
  const now = systemClock()
  const server = await startApp(t, { now: () => now })
  await revoke(server.app)
  const other = await anotherNode(t, server, { now: () => now })
  const [whole, same] = [await read(server.app, '0'), await read(other.app, '0')]
  t.equal(whole.body, same.body)
  const waits = [read(server.app, whole.last.cursor, 30), read(other.app, whole.last.cursor, 30)]
  await revoke(server.app)
  const [here, there] = await Promise.all(waits)
  t.equal(here?.body, there?.body)
  const restarted = await anotherNode(t, server, { now: () => now })
  const follower = new ModelFollower()
  follower.apply((await read(server.app, '0')).body)
  for (let i = 0; i < 3; i += 1) await revoke(server.app)
  const rest = await read(restarted.app, follower.cursor, 1)
  t.equal(rest.documents[0]?.page, undefined, 'a server that was restarted has the newest changes')
  follower.apply(rest.body)
  t.equal(follower.gaps, 0)
})

t.test('HEAD and the preflight are those of a public document', async (t) => {
  const { app } = await startApp(t)
  const head = await app.inject({ method: 'HEAD', url: `${FEED}?after=0` })
  t.equal(head.statusCode, 200)
  t.equal(head.headers['content-length'], String((await read(app, '0')).body.length))
  t.equal(head.body, '')
  const preflight = await app.inject({
    method: 'OPTIONS',
    url: `${FEED}?after=0`,
    headers: { origin: 'https://app.example', 'access-control-request-method': 'GET' },
  })
  t.equal(preflight.statusCode, 204)
  t.equal(preflight.headers['access-control-allow-origin'], '*')
})

t.test('who finds no place to wait is told when to come back, in both forms', async (t) => {
  const { app } = await startApp(t, { now: () => 1_800_000_000, env: { FEED_MAX_WAITERS: '0' } })
  const { cursor } = (await read(app, '0')).last
  const { etag } = (await app.inject(FEED)).headers
  const seen = new Set<number>()
  for (let i = 0; i < 40; i += 1) {
    const full = await read(app, cursor, 30)
    t.match(full.documents, [{ cursor: `${cursor}.1` }])
    seen.add(Number(full.headers['retry-after']))
    const old = await app.inject({ url: `${FEED}?wait=30`, headers: { 'if-none-match': String(etag) } })
    t.equal(old.statusCode, 304)
    seen.add(Number(old.headers['retry-after']))
  }
  t.ok(
    [...seen].every((seconds) => Number.isInteger(seconds) && seconds >= 2 && seconds <= 10),
    [...seen].join(),
  )
  t.ok(seen.size > 3, 'not all at the same time')
  const asked = [await read(app, cursor, 0), await read(app, '0', 30)]
  for (const { headers } of asked) t.equal(headers['retry-after'], undefined, 'it did not want to wait')
})

t.test('closing lets everybody go', async (t) => {
  let arrived = () => {}
  const waiting = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const { app } = await startApp(t, {
    routes: (app) => void app.addHook('preHandler', async ({ url }) => void (url.includes('wait=30') && arrived())),
  })
  const { cursor } = (await read(app, '0')).last
  const poll = read(app, cursor, 30)
  await waiting
  await new Promise((resolve) => setImmediate(resolve))
  await app.close()
  t.match((await poll).documents, [{ cursor: `${cursor}.1` }])
})
