import fc from 'fast-check'
import t from 'tap'
import { explainCommand } from '../../src/verifier/explain/explain-command.ts'
import { jws, Raw } from '../support/mint.ts'
import { explaining, fed, holds, states, tellsNo } from './explaining.ts'

// What is given to `signet-verifier explain`: hostile tokens, other things than a token, and a token where none
// belongs.

const { issuer, mint, command, run } = await explaining(t)

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
  const endless = await explainCommand({ argv: command, stdin: unread(), fetch: issuer.fetch })
  t.equal(endless.exit, 2, 'what never ends is not read to its end')
})

t.test('a token on the command line is refused, with the reason, and not repeated', async (t) => {
  const token = mint.token()
  const [header, payload] = token.split('.')
  const opaque = `${'a'.repeat(30)}.${'b'.repeat(30)}.${'c'.repeat(30)}`
  for (const one of [token, `--token=${token}`, `${header}.${payload}`, String(header), `Bearer ${token}`, opaque]) {
    for (const argv of [[...command, one], [one], ['explain', one], ['--help', one], ['explain', '--issuer', one]]) {
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

t.test('nothing on standard input makes it fail, or is printed', async () => {
  const offline: typeof fetch = () => Promise.reject(new TypeError('fetch failed'))
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 300 })),
      async (bytes) => {
        const { exit, stdout, stderr } = await run(bytes, ['--no-revocations'], offline)
        const text = Buffer.from(bytes).toString().trim()
        const isTold = text.length > 20 && (stdout + stderr).includes(text)
        if (exit === 0 || isTold || /\p{Cc}/u.test((stdout + stderr).replaceAll('\n', ''))) throw new Error(stdout)
      },
    ),
    { numRuns: 60 },
  )
})
