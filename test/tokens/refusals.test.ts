import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { REFUSALS, type Refusal } from '../../src/errors/refusals.ts'
import type { App } from '../../src/http/app-type.ts'
import { createRevokedKeyStore } from '../../src/keys/revoked-key-store.ts'
import { createMetrics } from '../../src/observability/metrics.ts'
import { bearer, startApp } from '../support/app.ts'
import { administer, post, publicPart, signUp, signUpAdmin } from '../support/front-door.ts'
import { serverMint } from '../support/mint.ts'
import { basic, register, send, tokenOf } from '../support/oauth.ts'
import { call, withRoles } from '../support/people.ts'
import { refusedTokens } from '../support/refused-tokens.ts'
import { scrape } from '../support/scrape.ts'

// Why the server refuses: for each word of the list a request that causes it, seen in the log and in the metrics, and
// never in the answer.

/** Only the package asks for keys elsewhere. */
const ELSEWHERE: readonly Refusal[] = ['keys_unavailable']

const routes = (app: App) => {
  const handler = () => ({})
  app.get('/any', handler)
  app.get('/live', { config: { auth: 'live' } }, handler)
  app.get('/role', { config: { roles: ['admin'] } }, handler)
  app.get('/scope', { config: { scope: ['read'] } }, handler)
  app.get('/role-or-scope', { config: { anyOf: [{ roles: ['admin'] }, { scope: ['read'] }] } }, handler)
  app.get('/both', { config: { anyOf: [{ roles: ['user'], scope: ['read'] }, { roles: ['admin'] }] } }, handler)
  app.get('/fresh', { config: { maxAuthAge: 60 } }, handler)
}

const clock = { seconds: systemClock() }
const metrics = createMetrics()
const server = await startApp(t, { instrumentation: metrics, now: () => clock.seconds, routes, ownKey: true })
const { app, database, log } = server
const mint = await serverMint(server, clock.seconds)
const seen = new Set<Refusal>()

const counts = async (): Promise<Map<string, number>> => {
  const series = [...(await scrape(metrics))].filter(([name]) => name.startsWith('signet_refused_total{'))
  return new Map(series.map(([name, value]) => [/reason="(\w+)"/.exec(name)?.[1] ?? '', value]))
}

/** Sends it, and holds the log line and the metrics against the word. */
async function refused(t: Test, refusal: Refusal, what: string, sending: () => Promise<unknown>): Promise<void> {
  const before = await counts()
  const logged = log.length
  await sending()
  const lines = log.slice(logged).map((line) => JSON.parse(line))
  const words = lines.filter(({ msg }) => msg === 'refused').map((line) => line.refusal)
  t.same(words, [refusal], `${refusal}: ${what}`)
  const counted = [...(await counts())].filter(([word, count]) => count !== before.get(word)).map(([word]) => word)
  t.same(counted, [refusal], `${refusal}: ${what}, in the metrics`)
  seen.add(refusal)
}

const get = (token: string, url = '/any') => app.inject({ url, headers: bearer(token) })

t.test('what stands in a token, and in a request', async (t) => {
  for (const [refusal, what, token] of refusedTokens(mint)) await refused(t, refusal, what, () => get(token))
  await refused(t, 'token_missing', 'no header', () => app.inject('/any'))
  const basic = { authorization: 'Basic eDp5' }
  await refused(t, 'token_missing', 'another scheme', () => app.inject({ url: '/any', headers: basic }))
  await refused(t, 'malformed', 'a scheme alone', () => app.inject({ url: '/any', headers: bearer('') }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const line = `Authorization: Bearer ${mint.token()}`
  await refused(t, 'token_repeated', 'two headers', async () => {
    const socket = connect(port, '127.0.0.1')
    socket.end(['GET /any HTTP/1.1', line, line, 'Host: localhost', 'Connection: close', '', ''].join('\r\n'))
    for await (const _chunk of socket);
  })
})

t.test('what was taken back', async (t) => {
  const admin = await signUpAdmin(server)
  const [out, suspended] = [await signUp(app), await signUp(app)]
  const [deleted, promoted] = [await signUp(app), await signUp(app)]
  await post(app, '/v1/logout', {}, { token: out.access_token })
  await refused(t, 'revoked_session', 'a logout', () => get(out.access_token))
  await administer(app, admin, suspended.id, { status: 'suspended' })
  await refused(t, 'revoked_session', 'a suspended account: its sessions end', () => get(suspended.access_token))
  await call(app, admin.access_token, 'DELETE', `/v1/admin/accounts/${deleted.id}`)
  await refused(t, 'revoked_account', 'a deleted account', () => get(deleted.access_token))
  await administer(app, admin, promoted.id, { roles: ['support'] })
  await refused(t, 'stale_version', 'other roles', () => get(promoted.access_token))

  const [revoking, disabled] = [await register(server), await register(server)]
  const tokens = [await tokenOf(app, revoking), await tokenOf(app, disabled)] as const
  await send(app, 'revoke', { token: tokens[0] }, basic(revoking.id, revoking.secret))
  await refused(t, 'revoked_token', 'a revoked token', () => get(tokens[0]))
  await call(app, admin.access_token, 'PATCH', `/v1/admin/clients/${disabled.id}`, { status: 'disabled' })
  await refused(t, 'revoked_client', 'a disabled client', () => get(tokens[1]))
})

t.test('what a look at the database finds', async (t) => {
  const [person, other] = [await signUp(app), await signUp(app)]
  await database.query('UPDATE sessions SET ended_at = 1 WHERE account_id = $1', [person.id])
  await refused(t, 'revoked_session', 'an ended session', () => get(person.access_token, '/live'))
  await database.query('UPDATE accounts SET token_version = 9 WHERE id = $1', [other.id])
  await refused(t, 'stale_version', 'another version', () => get(other.access_token, '/live'))
  await refused(t, 'claim', 'a token without a session', () => get(mint.token(), '/live'))
  const client = await register(server)
  const token = await tokenOf(app, client)
  await database.query("UPDATE clients SET status = 'disabled' WHERE id = $1", [client.id])
  await refused(t, 'revoked_client', 'a disabled client', () => get(token, '/live'))
})

t.test('what the caller lacks', async (t) => {
  const { access_token: token } = await signUp(app)
  await refused(t, 'role', 'no such role', () => get(token, '/role'))
  await refused(t, 'scope', 'no such scope', () => get(token, '/scope'))
  await refused(t, 'role', 'neither: the first that is asked for', () => get(token, '/role-or-scope'))
  const user = mint.token({ claims: { roles: ['user'] } })
  await refused(t, 'scope', 'the role of the first alternative alone', () => get(user, '/both'))
  const old = mint.token({ claims: { auth_time: mint.now - 61, roles: [] } })
  await refused(t, 'auth_age', 'an old login', () => get(old, '/fresh'))
  const admin = await withRoles(server, await signUp(app), ['admin'])
  t.equal((await get(admin.access_token, '/role-or-scope')).statusCode, 200)
})

t.test('whatever the reason is, the answers with one code are the same', async (t) => {
  const { access_token } = await signUp(app)
  await post(app, '/v1/logout', {}, { token: access_token })
  const forged = mint.token({}, () => Buffer.alloc(256, 1))
  t.equal(publicPart(await get(access_token)), publicPart(await get(forged)), 'revoked_session and signature')
  const parts = new Map<string, Set<string>>()
  for (const [, , token] of refusedTokens(mint)) {
    const answer = await get(token)
    const part = publicPart(answer)
    // The words without `_` are words of the answer, too.
    for (const word of REFUSALS) if (word.includes('_')) t.notMatch(part, word)
    t.notMatch(part, 'refusal')
    parts.set(answer.json().code, (parts.get(answer.json().code) ?? new Set()).add(part))
  }
  t.same([...parts].map(([code, { size }]) => [code, size]).sort(), [
    ['invalid_token', 1],
    ['token_expired', 1],
  ])
})

t.test('a token that was accepted: its age, and its key', async (t) => {
  const [expiring, revoked] = [mint.token({ claims: { exp: mint.now + 60 } }), mint.token()]
  for (const token of [expiring, revoked]) t.equal((await get(token)).statusCode, 200)
  clock.seconds += 65
  await refused(t, 'expired', 'from the cache', () => get(expiring))
  await createRevokedKeyStore(database).add([{ kid: mint.kid, revokedAt: clock.seconds }])
  await server.keyring.reload()
  await refused(t, 'revoked_key', 'from the cache', () => get(revoked))
  await refused(t, 'revoked_key', 'a token that was never seen', () => get(mint.token()))
})

t.test('a set of revocations that is too old', async (t) => {
  const forward = { by: 0 }
  const real = performance.now.bind(performance)
  t.intercept(performance, 'now', { configurable: true, value: () => real() + forward.by })
  const metrics = createMetrics()
  const env = { REVOCATION_STALE_POLICY: 'reject' }
  const { app, database, log } = await startApp(t, { env, instrumentation: metrics })
  const { access_token } = await signUp(app)
  await database.close()
  forward.by = 61_000
  t.equal((await app.inject({ url: '/v1/me', headers: bearer(access_token) })).statusCode, 503)
  t.match(JSON.parse(log.filter((line) => line.includes('"refused"')).at(-1) ?? ''), { refusal: 'feed_stale' })
  t.equal((await scrape(metrics)).get('signet_refused_total{reason="feed_stale"}'), 1)
  seen.add('feed_stale')
})

t.test('every word was seen here, but for those of the package', async (t) => {
  t.same(
    REFUSALS.filter((word) => !seen.has(word)),
    ELSEWHERE,
  )
})

t.test('what is not about a token has no word', async (t) => {
  const before = await counts()
  const logged = log.length
  await app.inject('/nowhere')
  await post(app, '/v1/login', { email: 'nobody@example.com', password: 'not the right one' })
  await post(app, '/v1/refresh', { refresh_token: 'x' })
  t.same(await counts(), before)
  const lines = log.slice(logged).map((line) => JSON.parse(line))
  t.equal(lines.filter(({ msg }) => msg === 'refused').length, 3)
  for (const line of lines) t.notOk('refusal' in line)
})
