import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { Refusal } from '../../src/errors/refusals.ts'
import { revokeKey } from '../../src/keys/change-keyring.ts'
import type { Outcome } from '../../src/verifier/explain/explain-command.ts'
import { TOKEN_CHECKS } from '../../src/verifier/explain/explain-texts.ts'
import { temporaryFolder } from '../support/app.ts'
import { refusedTokens } from '../support/refused-tokens.ts'
import { tokensTakenBack } from '../support/taken-back.ts'
import { explaining, holds as holdsWord, states, tellsNo } from './explaining.ts'

// `signet-verifier explain`, without a process: what it says of every kind of token, and what it never says.

const { server, issuer, mint, run } = await explaining(t)
const { app } = server
const seen = new Set<string>()

function holds(t: Test, outcome: Outcome, token: string, refusal: Refusal, what: string): void {
  seen.add(refusal)
  holdsWord(t, outcome, token, refusal, what)
}

/** The issuer, but for the feed. */
const withoutFeed: typeof fetch = (input, init) =>
  String(input).includes('/revocations') ? Promise.reject(new TypeError('fetch failed')) : issuer.fetch(input, init)

/** The issuer, with a clock that is ahead of this machine by so many seconds. */
const ahead =
  (seconds: number): typeof fetch =>
  async (input, init) => {
    const reply = await issuer.fetch(input, init)
    const headers = new Headers(reply.headers)
    headers.set('date', new Date((systemClock() + seconds) * 1000).toUTCString())
    return new Response(reply.status === 304 ? null : await reply.text(), { status: reply.status, headers })
  }

t.test('a good token: every check holds', async (t) => {
  const token = mint.token({ claims: { scope: 'read', roles: ['admin'] } })
  for (const text of [
    token,
    `${token}\n`,
    `\r\n ${token} \r\n`,
    `Bearer ${token}`,
    `Authorization: Bearer ${token}\n`,
  ]) {
    const outcome = await run(text)
    t.same(
      [...states(outcome)],
      TOKEN_CHECKS.map((check) => [check, 'ok']),
    )
    t.same([outcome.exit, outcome.stderr], [0, ''])
    t.match(outcome.stdout, /^Result: good\.$/m)
    t.match(outcome.stdout, /its signature is good/)
    t.match(outcome.stdout, /^ {2}roles \["admin"\]$/m)
    t.match(outcome.stdout, /^ {2}exp \d+ \(.*Z, in \d+ s \(10 min\)\)$/m)
    tellsNo(t, outcome, token, 'a good token')
  }
})

t.test('what is wrong in a token is named, and what comes after it is not checked', async (t) => {
  for (const [refusal, what, token] of refusedTokens(mint)) holds(t, await run(token), token, refusal, what)
})

t.test('what was taken back, and what can not be asked', async (t) => {
  for (const [refusal, token] of await tokensTakenBack(server)) {
    let outcome = await run(token)
    while (outcome.exit === 0) outcome = await run(token) // the feed gathers what is new for a tenth of a second
    holds(t, outcome, token, refusal, 'taken back')
  }

  const offline: typeof fetch = () => Promise.reject(new TypeError('fetch failed', { cause: { code: 'ENOTFOUND' } }))
  const token = mint.token()
  const outcome = await run(token, [], offline)
  holds(t, outcome, token, 'keys_unavailable', 'nobody answers')
  t.match(outcome.stdout, /FAILS +keys_unavailable +.*ENOTFOUND/)
  t.match(outcome.stdout, /NOT VERIFIED/)
})

t.test('without the feed a token is good only as far as it was checked', async (t) => {
  const token = mint.token()
  const rows = [
    [await run(token, ['--no-revocations']), /the feed was not asked for/],
    [await run(token, [], withoutFeed), /the feed could not be read: "fetch failed"/],
  ] as const
  for (const [outcome, why] of rows) {
    t.equal(outcome.exit, 0)
    t.match(outcome.stdout, /^Result: good, as far as it was checked: /m)
    const unread = [...states(outcome)].filter(([, state]) => state === 'not checked').map(([check]) => check)
    t.same(unread, [
      'revoked_key',
      ...['feed_stale', 'revoked_account', 'revoked_client', 'revoked_session', 'revoked_token', 'stale_version'],
    ])
    t.match(outcome.stdout, why)
  }
  t.notOk((await run(token, ['--no-revocations'], withoutFeed)).stdout.includes('could not'))
})

t.test('it says by how much, and what the clocks have to do with it', async (t) => {
  const { now } = mint
  const said = async (claims: object, more: string[] = [], fetch?: typeof issuer.fetch) =>
    (await run(mint.token({ claims }), ['--no-revocations', ...more], fetch)).stdout
  t.match(await said({ exp: now + 600 }, ['--now', `${now + 642}`]), /expired 42 s ago \(.*Z\)/)
  t.match(await said({ iat: now - 9000, exp: now - 8400 }), /expired 84\d\d s \(2 h\) ago/)
  t.match(await said({ iat: now + 300, exp: now + 600 }), /iat is (300|29\d) s \(5 min\) in the future/)
  t.match(await said({ nbf: now + 60 }), /nbf is (60|5\d) s in the future/)
  t.match(await said({ iat: now, exp: now + 3600 }), /good for 3600 s \(60 min\), and the guard takes 900 s/)
  t.match(await said({ exp: now - 1, iat: now }), /exp is 1 s before iat/)
  t.match(await said({ aud: ['a', 'b'] }), /aud is \["a","b"\], and you are "https:\/\/signet.example"/)
  t.match(await said({ iss: 'https://other.example' }), /iss is "https:\/\/other.example", and you trust /)

  const expired = { iat: now - 600, exp: now - 60 }
  t.match(await said(expired), /this machine and the issuer agree/)
  const hint = /By the clock of the issuer the token would be good: set the clock of this machine/
  t.notMatch(await said(expired), hint)
  const behind = await said(expired, [], ahead(-100))
  t.match(behind, /your clock and the issuer's differ by about 100 s \(Date header\): yours is ahead/)
  t.match(behind, hint)
  t.notMatch(await said(expired, [], ahead(-30)), hint, 'it would be over there, too')
  const tomorrow = await said({ iat: now + 100, exp: now + 700 }, [], ahead(120))
  t.match(tomorrow, /differ by about 120 s \(2 min\) \(Date header\): yours is behind/)
  t.match(tomorrow, hint)
  t.notMatch(await said({ iss: 'x' }, [], ahead(120)), hint, 'the fault is not about time')
})

t.test('the keys from a file', async (t) => {
  const folder = await temporaryFolder(t)
  const [good, bad, huge] = ['good', 'bad', 'huge'].map((name) => join(folder, name)) as [string, string, string]
  await writeFile(good, (await app.inject('/.well-known/jwks.json')).body)
  await writeFile(bad, '{')
  await writeFile(huge, 'x'.repeat(300_000))
  const offline: typeof fetch = () => Promise.reject(new TypeError('fetch failed'))
  const token = mint.token()
  const outcome = await run(token, ['--jwks', good, '--no-revocations'], offline)
  t.equal(outcome.exit, 0, outcome.stdout)
  t.match(outcome.stdout, /the issuer did not say what time it is/)
  holds(t, await run(token, ['--jwks', bad]), token, 'keys_unavailable', 'a file that is no JWKS')
  for (const [file, says] of [
    [huge, /more than 262144 bytes/],
    [join(folder, 'none'), /can't be read \(ENOENT\)/],
    [folder, /can't be read \(EISDIR\)/],
  ] as const) {
    const outcome = await run(token, ['--jwks', file])
    t.equal(outcome.exit, 2)
    t.match(outcome.stderr, says)
  }
})

t.test('a key that was revoked', async (t) => {
  const token = mint.token()
  await revokeKey(server.folder, mint.kid, { now: systemClock, bits: 2048, successor: true, force: true })
  await server.keyring.reload()
  holds(t, await run(token), token, 'revoked_key', 'revoked')
})

t.test('every word that a token can cause was seen', async (t) => {
  t.same(
    TOKEN_CHECKS.filter((check) => !seen.has(check)),
    ['feed_stale'],
    'without a feed it says so instead',
  )
})
