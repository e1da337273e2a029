import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { Refusal } from '../../src/errors/refusals.ts'
import { revokeKey } from '../../src/keys/change-keyring.ts'
import { explainCommand, type Outcome } from '../../src/verifier/explain-command.ts'
import { TOKEN_CHECKS } from '../../src/verifier/explain-texts.ts'
import { startApp, temporaryFolder } from '../support/app.ts'
import { post, signUp, signUpAdmin } from '../support/front-door.ts'
import { issuerOf } from '../support/issuer.ts'
import { jws, Raw, serverMint } from '../support/mint.ts'
import { basic, register, send, tokenOf } from '../support/oauth.ts'
import { call } from '../support/people.ts'
import { refusedTokens } from '../support/refused-tokens.ts'

// `signet-verifier explain`, without a process: what it says of every kind of token, and what it never says.

const server = await startApp(t, { env: { ISSUER: 'https://signet.example' } })
const { app } = server
const issuer = issuerOf(() => app)
const mint = await serverMint(server, systemClock())
const seen = new Set<string>()

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

const COMMAND = ['explain', '--issuer', mint.issuer, '--audience', mint.audience]
const fed = async function* (text: string | Uint8Array) {
  yield Buffer.from(text)
}
const run = (text: string | Uint8Array, more: readonly string[] = [], fetch = issuer.fetch) =>
  explainCommand({ argv: [...COMMAND, ...more], stdin: fed(text), fetch })

/** `ok`, `FAILS` or `not checked`, by check. */
const states = ({ stdout }: Outcome) =>
  new Map([...stdout.matchAll(/^ {2}(ok|FAILS|not checked) +(\w+) /gm)].map(([, state, check]) => [check, state]))

/** Holds a report against the word that it has to give, and against the token that it must not give. */
function holds(t: Test, outcome: Outcome, token: string, refusal: Refusal, what: string): void {
  seen.add(refusal)
  const found = states(outcome)
  const at = TOKEN_CHECKS.indexOf(refusal as never)
  const expected = TOKEN_CHECKS.map((check, i) => [check, i < at ? 'ok' : i === at ? 'FAILS' : 'not checked'])
  t.same([...found], expected, `${refusal}: ${what}`)
  t.same([outcome.exit, outcome.stderr], [1, ''], `${refusal}: ${what}`)
  t.match(outcome.stdout, new RegExp(`^Result: REFUSED, ${refusal}; the caller is told \\d{3} \\w+\\.\n {8}\\w`, 'm'))
  tellsNo(t, outcome, token, what)
}

function tellsNo(t: Test, { stdout, stderr }: Outcome, token: string, what: string): void {
  const parts = [token, ...token.split('.')].filter((part) => part.length > 20)
  t.notOk(
    parts.some((part) => (stdout + stderr).includes(part.slice(0, 200))),
    `${what}: no part of the token is printed`,
  )
  t.notMatch((stdout + stderr).replaceAll('\n', ''), /\p{Cc}|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/u, what)
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
  const admin = await signUpAdmin(server)
  const [out, deleted, promoted] = [await signUp(app), await signUp(app), await signUp(app)]
  const [revoking, disabled] = [await register(server), await register(server)]
  const [revoked, ofDisabled] = [await tokenOf(app, revoking), await tokenOf(app, disabled)]
  await post(app, '/v1/logout', {}, { token: out.access_token })
  await call(app, admin.access_token, 'DELETE', `/v1/admin/accounts/${deleted.id}`)
  await call(app, admin.access_token, 'PATCH', `/v1/admin/accounts/${promoted.id}`, { roles: ['support'] })
  await send(app, 'revoke', { token: revoked }, basic(revoking.id, revoking.secret))
  await call(app, admin.access_token, 'PATCH', `/v1/admin/clients/${disabled.id}`, { status: 'disabled' })
  const rows: [Refusal, string][] = [
    ['revoked_session', out.access_token],
    ['revoked_account', deleted.access_token],
    ['stale_version', promoted.access_token],
    ['revoked_token', revoked],
    ['revoked_client', ofDisabled],
  ]
  for (const [refusal, token] of rows) {
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
  // Nothing on standard input makes it fail, or print what it was given.
  const quick = ['--jwks', good, '--no-revocations']
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 300 })),
      async (bytes) => {
        const { exit, stdout, stderr } = await run(bytes, quick, offline)
        const text = Buffer.from(bytes).toString().trim()
        const isTold = text.length > 20 && (stdout + stderr).includes(text)
        if (exit === 0 || isTold || /\p{Cc}/u.test((stdout + stderr).replaceAll('\n', ''))) throw new Error(stdout)
      },
    ),
    { numRuns: 60 },
  )
})

t.test('a payload that is made to harm the terminal or to hide something', async (t) => {
  const inner = mint.token()
  const long = mint.token({
    claims: {
      ...{ sub: '\u001b[2J\u001b[1;31mgood\u0007', jti: 'a\u202eb\u2028c\u0085d', client_id: 'x'.repeat(250) },
      ...{ 'na\nme\u001b': 1, ['n'.repeat(99)]: 1, nested: { token: inner }, exp: 1e300 },
    },
  })
  const outcome = await run(long)
  tellsNo(t, outcome, long, 'the token')
  tellsNo(t, outcome, inner, 'a token in it')
  t.match(outcome.stdout, /^ {2}sub "\\u001b\[2J\\u001b\[1;31mgood\\u0007"$/m)
  t.match(outcome.stdout, /^ {2}jti "a\\u\{202e\}b\\u\{2028\}c\\u\{85\}d"$/m)
  t.match(outcome.stdout, /^ {2}nested \{"token":"\(not shown\)"\}$/m)
  t.match(outcome.stdout, /^ {2}exp 1e\+300 \(no date, in /m)
  t.match(outcome.stdout, /… \(252 characters\)$/m)
  const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`c${i}`, i]))
  const more = await run(mint.token({ claims: many }))
  t.match(more.stdout, /^ {2}… and 27 more claims$/m)
  for (const { stdout } of [outcome, more])
    for (const line of stdout.split('\n')) t.ok(line.length < 250, `${line.length} characters`)
  for (const payload of ['null', '[]', '7', '""', new Raw('{"__proto__":{"iss":1},"constructor":2}')]) {
    const token = jws(mint.header, payload, mint.rs256)
    holds(t, await run(token), token, 'claim', String(payload))
  }
})

t.test('standard input holds one token and nothing else', async (t) => {
  const token = mint.token()
  const rows: [string, string | Uint8Array, RegExp][] = [
    ['nothing', '', /standard input is empty/],
    ['white space', ' \r\n\t\n', /standard input is empty/],
    ['a scheme alone', 'Bearer ', /^/],
    ['two lines', `${token}\n${token}\n`, /has 2 lines: give one token/],
    ['a token that is broken in two', `${token.slice(0, 99)}\n${token.slice(99)}`, /has 2 lines/],
    ['much', `${token}${'x'.repeat(70_000)}`, /more than 65536 bytes/],
    ['much in one line of nothing', ' '.repeat(70_000), /more than 65536 bytes/],
    ['bytes', Buffer.from([0, 255, 254, 10, 0, 128, 10, 13]), /lines|empty/],
  ]
  for (const [what, text, says] of rows) {
    const outcome = await run(text)
    t.not(outcome.exit, 0, what)
    if (what !== 'a scheme alone') t.same([outcome.exit, outcome.stdout], [2, ''], what)
    t.match(outcome.stderr, says, what)
    tellsNo(t, outcome, token, what)
  }
  const bytes = await run(Buffer.from([0, 255, 254, 46, 128, 46, 7]))
  t.equal(bytes.exit, 1)
  t.equal(states(bytes).get('malformed'), 'FAILS')
  const unread = async function* (): AsyncGenerator<Uint8Array> {
    for (;;) yield Buffer.alloc(10_000, 'x')
  }
  const endless = await explainCommand({ argv: COMMAND, stdin: unread(), fetch: issuer.fetch })
  t.equal(endless.exit, 2, 'what never ends is not read to its end')
})

t.test('a token on the command line is refused, with the reason, and not repeated', async (t) => {
  const token = mint.token()
  const [header, payload] = token.split('.')
  const opaque = `${'a'.repeat(30)}.${'b'.repeat(30)}.${'c'.repeat(30)}`
  for (const one of [token, `--token=${token}`, `${header}.${payload}`, String(header), `Bearer ${token}`, opaque]) {
    for (const argv of [[...COMMAND, one], [one], ['explain', one], ['--help', one], ['explain', '--issuer', one]]) {
      const outcome = await explainCommand({ argv, stdin: fed(token), fetch: issuer.fetch })
      t.same([outcome.exit, outcome.stdout], [2, ''])
      t.match(outcome.stderr, /history of the shell/)
      tellsNo(t, outcome, token, 'argv')
      t.notOk(outcome.stderr.includes(one))
    }
  }
})

t.test('what can not begin says what is missing, and repeats no value', async (t) => {
  const issuer = ['--issuer', mint.issuer]
  const audience = ['--audience', 'x']
  const rows: [string[], RegExp][] = [
    [[], /the only command is `explain`/],
    [['verify', 'hunter2'], /the only command is `explain`/],
    [['explain', 'hunter2', ...issuer, ...audience], /options and nothing else/],
    [['explain', ...audience], /--issuer is needed/],
    [['explain', ...issuer], /--audience is needed/],
    [['explain', ...issuer, '--audience'], /--audience is not known, or has no value/],
    [['explain', '--tokn=hunter2'], /--tokn is not known/],
    [['explain', '--hunter2-hunter2-hunter2-hunter2-hunter2'], /an option is not known/],
    [['explain', ...issuer, ...audience, '--now', 'hunter2'], /--now takes whole seconds/],
    [['explain', ...issuer, ...audience, '--now', '-5'], /--now/],
    [['explain', ...audience, '--issuer', 'https://signet.example/'], /ends with a slash/],
    [['explain', ...audience, '--issuer', 'http://signet.example'], /is not https/],
    [['explain', ...issuer, '--audience', ''], /audience/],
  ]
  for (const [argv, says] of rows) {
    const outcome = await explainCommand({ argv, stdin: fed(mint.token()), fetch })
    t.same([outcome.exit, outcome.stdout], [2, ''], argv.join(' '))
    t.match(outcome.stderr, says)
    t.notMatch(outcome.stderr, /hunter2/)
    t.match(outcome.stderr, /Try: signet-verifier explain --help/)
  }
  for (const argv of [['--help'], ['explain', '--help'], ['-h']]) {
    const outcome = await explainCommand({ argv, stdin: fed(''), fetch })
    t.equal(outcome.exit, 0)
    t.match(outcome.stdout, /^Usage: signet-verifier explain/)
  }
  const two = await run(mint.token({ claims: { aud: 'second' } }), ['--audience', 'second'])
  t.equal(two.exit, 0, 'several audiences')
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
