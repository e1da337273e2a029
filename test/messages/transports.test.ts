import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { simpleParser } from 'mailparser'
import type { SMTPServerOptions } from 'smtp-server'
import t, { type Test } from 'tap'
import { DeliveryError } from '../../src/messages/delivery-error.ts'
import { createFileTransport } from '../../src/messages/file-transport.ts'
import type { Letter } from '../../src/messages/message.ts'
import { openTransport } from '../../src/messages/open-transport.ts'
import { createSmtpTransport } from '../../src/messages/smtp-transport.ts'
import { deliverInTime, type Transport } from '../../src/messages/transport.ts'
import { createWebhookTransport } from '../../src/messages/webhook-transport.ts'
import { makeCertificate } from '../support/certificate.ts'
import { startSmtp } from '../support/smtp-server.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const FROM = 'Müller & Söhne <no-reply@example.com>'
const PASSWORD = 'p@ss/w:rd'
const LETTER: Letter = {
  messageId: 'id1@example.com',
  to: 'ada@example.org',
  subject: 'Ein neues Passwort für Zoë — 新',
  text: `Grüße\n\nhttps://app.example.com/recover#token=${'x'.repeat(100)}\n`,
  html: '<!doctype html><p>Grüße <a href="https://app.example.com/recover#token=x&amp;y">hier</a></p>\n',
  language: 'de',
  kind: 'recovery',
  data: { token: 's3cret' },
  date: 1_800_000_000,
}

const localhost = makeCertificate('localhost')

async function failureOf(transport: Transport): Promise<DeliveryError> {
  const error = await transport.deliver(LETTER).catch((error: unknown) => error)
  if (error instanceof DeliveryError) return error
  throw new Error(`it was delivered, or failed otherwise: ${error}`)
}

t.test('SMTP: what arrives is what was written, twice the same', async (t) => {
  let login: unknown
  const smtp = await startSmtp(t, {
    authOptional: false,
    allowInsecureAuth: true,
    onAuth({ username, password }, _session, done) {
      login = [username, password]
      done(null, { user: username ?? '' })
    },
  })
  const url = new URL(`smtp://us%40er:${encodeURIComponent(PASSWORD)}@127.0.0.1:${smtp.port}`)
  const transport = createSmtpTransport({ url, from: FROM })
  t.same(await transport.deliver(LETTER), { to: url.host })
  await transport.deliver(LETTER)
  t.same(login, ['us@er', PASSWORD])
  const [mail] = smtp.mails
  t.match(mail, { messageId: '<id1@example.com>', subject: LETTER.subject, date: new Date(LETTER.date * 1000) })
  t.equal(mail?.text?.trimEnd(), LETTER.text.trimEnd())
  t.equal(String(mail?.html).trimEnd(), LETTER.html.trimEnd())
  t.match(mail?.from?.value, [{ name: 'Müller & Söhne', address: 'no-reply@example.com' }])
  t.match([mail?.to].flat()[0]?.value, [{ address: LETTER.to }])
  t.equal(mail?.headers.get('auto-submitted'), 'auto-generated')
  t.equal(mail?.headers.get('content-language'), 'de')
  t.notMatch(mail?.headers.get('x-mailer'), /./)
  t.equal(smtp.raw[1], smtp.raw[0])
})

t.test('SMTP: TLS with a certificate that is trusted, or nothing is said', async (t) => {
  const said: string[] = []
  const onAuth: SMTPServerOptions['onAuth'] = ({ password }, _session, done) => {
    said.push(String(password))
    done(null, { user: 'u' })
  }
  const tls = { cert: localhost.certificate, key: localhost.privateKey, onAuth }
  const smtps = await startSmtp(t, { ...tls, secure: true })
  const startTls = await startSmtp(t, { ...tls, hideSTARTTLS: false })
  const plain = await startSmtp(t, { disabledCommands: ['STARTTLS'], allowInsecureAuth: true, onAuth })
  // 0.0.0.0 is this machine too, but its name does not say so.
  const cases: [url: string, reason: RegExp][] = [
    [`smtp://u:p@0.0.0.0:${plain.port}`, /ETLS|STARTTLS/],
    [`smtp://u:p@0.0.0.0:${startTls.port}`, /certificate/],
    [`smtps://u:p@localhost:${smtps.port}`, /certificate/],
    [`smtps://u:p@127.0.0.1:${smtps.port}`, /certificate/],
  ]
  for (const [url, reason] of cases) {
    const error = await failureOf(createSmtpTransport({ url: new URL(url), from: FROM }))
    t.match(error, { permanent: false, unreachable: true, message: reason }, url)
  }
  t.same(said, [], 'no password')
  const good = new URL(`smtps://u:p@localhost:${smtps.port}`)
  await createSmtpTransport({ url: good, from: FROM, ca: localhost.certificate }).deliver(LETTER)
  t.same([said, smtps.mails.length], [['p'], 1])
})

const refuse = (code: number, message: string) => Object.assign(new Error(message), { responseCode: code })
const REFUSALS: Record<string, [SMTPServerOptions, permanent: boolean, unreachable: boolean, reason: string]> = {
  'no such mailbox': [
    { onRcptTo: ({ address }, _session, done) => done(refuse(550, `5.1.1 <${address}> unknown`)) },
    true,
    false,
    'SMTP: EENVELOPE RCPT TO 550 5.1.1',
  ],
  'a full mailbox': [
    { onRcptTo: ({ address }, _session, done) => done(refuse(452, `4.2.2 <${address}> full`)) },
    false,
    false,
    'SMTP: EENVELOPE RCPT TO 452 4.2.2',
  ],
  'relaying denied': [
    { onRcptTo: (_address, _session, done) => done(refuse(554, '5.7.1 relaying denied')) },
    false,
    false,
    'SMTP: EENVELOPE RCPT TO 554 5.7.1',
  ],
  'content that is refused': [
    {
      onData: async (stream, _session, done) => {
        await textOf(stream)
        done(refuse(552, '5.3.4 too big'))
      },
    },
    true,
    false,
    'SMTP: EMESSAGE DATA 552 5.3.4',
  ],
  'a sender that is refused': [
    { onMailFrom: ({ address }, _session, done) => done(refuse(550, `5.1.8 <${address}>`)) },
    false,
    true,
    'SMTP: EENVELOPE MAIL FROM 550 5.1.8',
  ],
  'a wrong password': [
    {
      allowInsecureAuth: true,
      onAuth: ({ password }, _session, done) => done(refuse(535, `5.7.8 not ${password}`)),
    },
    false,
    true,
    'SMTP: EAUTH AUTH PLAIN 535 5.7.8',
  ],
}
t.test('SMTP: which refusals are final, and no address or password in what is written down', async (t) => {
  for (const [name, [options, permanent, unreachable, message]] of Object.entries(REFUSALS)) {
    const { port } = await startSmtp(t, options)
    const login = options.onAuth === undefined ? '' : `u:${encodeURIComponent(PASSWORD)}@`
    const error = await failureOf(createSmtpTransport({ url: new URL(`smtp://${login}127.0.0.1:${port}`), from: FROM }))
    t.match(error, { permanent, unreachable, message }, name)
  }
  const closed = await startSmtp(t)
  await closed.close()
  const error = await failureOf(createSmtpTransport({ url: new URL(`smtp://127.0.0.1:${closed.port}`), from: FROM }))
  t.match(error, { permanent: false, unreachable: true, message: /ECONNREFUSED/ })
})

/** The code that the page gives to receivers. */
async function documented(t: Test): Promise<(secret: string, headers: object, body: string) => boolean> {
  const page = await readFile(new URL('../../src/messages/README.md', import.meta.url), 'utf8')
  const [, code = ''] = /```js\n(.*?)```/s.exec(page) ?? []
  const file = join(await temporaryFolder(t), 'verify.mjs')
  await writeFile(file, code)
  return (await import(pathToFileURL(file).href)).isFromSignet
}

t.test('webhook: 2xx means delivered, redirects are not followed, and the documented check accepts it', async (t) => {
  const calls: { url?: string | undefined; headers: object; body: string }[] = []
  const answers: Record<string, number> = { '/': 202, '/moved': 307, '/never': 422, '/broken': 500, '/gone': 410 }
  const server = createServer({ cert: localhost.certificate, key: localhost.privateKey }, async (request, reply) => {
    const body = await textOf(request)
    calls.push({ url: request.url, headers: request.headers, body })
    reply.writeHead(answers[request.url ?? ''] ?? 404, { location: '/' })
    const endless = setInterval(() => reply.write('x'.repeat(10_000)), 1)
    reply.on('close', () => clearInterval(endless))
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const origin = `https://localhost:${(server.address() as AddressInfo).port}`
  const secret = 'a secret of more than 16 bytes'
  const to = (path: string, ca = localhost.certificate) =>
    createWebhookTransport({ url: new URL(path, origin), secret: Buffer.from(secret), ca })

  t.same(await to('/').deliver(LETTER), { to: new URL(origin).host })
  const [{ headers, body } = { headers: {}, body: '' }] = calls
  const { messageId: id, date: _, ...rest } = LETTER
  t.same(JSON.parse(body), { id, ...rest, created_at: '2027-01-15T08:00:00Z' })

  const isFromSignet = await documented(t)
  t.equal(isFromSignet(secret, headers, body), true)
  const stale = String(Math.floor(Date.now() / 1000) - 301)
  const forged: [name: string, secret: string, headers: object, body: string][] = [
    ['another body', secret, headers, `${body} `],
    ['another secret', 'another', headers, body],
    ['another time', secret, { ...headers, 'signet-timestamp': stale }, body],
    ['no signature', secret, { ...headers, 'signet-signature': undefined }, body],
    ['a longer signature', secret, { ...headers, 'signet-signature': `v1=${'ü'.repeat(64)}` }, body],
    ['no time', secret, { ...headers, 'signet-timestamp': undefined }, body],
  ]
  for (const [name, ...args] of forged) t.equal(isFromSignet(...args), false, name)
  const options = { url: new URL(origin), secret: Buffer.from(secret), ca: localhost.certificate }
  await createWebhookTransport({ ...options, now: () => Number(stale) }).deliver(LETTER)
  t.equal(isFromSignet(secret, calls[1]?.headers ?? {}, body), false, 'a call that is sent again later')

  for (const [path, permanent] of [
    ['/moved', false],
    ['/never', true],
    ['/broken', false],
    ['/gone', false],
  ] as const)
    t.match(await failureOf(to(path)), { permanent, unreachable: false, message: `it answered ${answers[path]}` })
  t.equal(calls.length, 6, 'the redirect was not followed')
  t.match(await failureOf(createWebhookTransport({ url: new URL(origin), secret: Buffer.from(secret) })), {
    unreachable: true,
    message: /CERT|SELF_SIGNED/,
  })
  server.closeAllConnections()
})

t.test('webhook: a secret that is missing or short stops the start', async (t) => {
  const dir = await temporaryFolder(t)
  await writeFile(join(dir, 'short'), 'only 15 bytes..\n')
  await writeFile(join(dir, 'good'), 'these are 16 byt\n')
  const open = (name: string) =>
    openTransport({ MAIL_FROM: FROM, MAIL_WEBHOOK_SECRET_FILE: join(dir, name) }, 'https://x.example/')
  await t.rejects(open('short'), { message: /MAIL_WEBHOOK_SECRET_FILE: the first line of .* has fewer than 16 bytes/ })
  await t.rejects(open('none'), { message: /MAIL_WEBHOOK_SECRET_FILE: can't read .*ENOENT/ })
  await open('good')
})

t.test('files: one for each message, whole, for this user only', async (t) => {
  const dir = join(await temporaryFolder(t), 'data', 'outbox')
  const transport = createFileTransport({ dir, from: FROM })
  const { file } = await transport.deliver(LETTER)
  await transport.deliver(LETTER)
  await transport.deliver({ ...LETTER, messageId: '-x_y@example.com' })
  t.equal(file, join(dir, '2027-01-15T08-00-00Z-id1.eml'))
  t.same((await readdir(dir)).sort(), ['2027-01-15T08-00-00Z--x_y.eml', '2027-01-15T08-00-00Z-id1.eml'])
  t.equal((await stat(String(file))).mode & 0o777, 0o600)
  t.equal((await stat(dir)).mode & 0o777, 0o700)
  const mail = await simpleParser(await readFile(String(file)))
  t.match(mail, { messageId: '<id1@example.com>', subject: LETTER.subject })

  await writeFile(join(dir, 'file'), '')
  const nowhere = createFileTransport({ dir: join(dir, 'file', 'below'), from: FROM })
  t.match(await failureOf(nowhere), { unreachable: true, message: /MAIL_URL: can't write in .*: ENOTDIR/ })
})

t.test('a delivery that hangs ends', async (t) => {
  const hangs = { deliver: () => new Promise<never>(() => undefined), close: () => undefined }
  await t.rejects(deliverInTime(hangs, LETTER, 1), { name: 'DeliveryError', unreachable: true, message: /in time/ })
})
