import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { simpleParser } from 'mailparser'
import type { SMTPServerOptions } from 'smtp-server'
import t from 'tap'
import { createFileTransport } from '../../src/messages/file-transport.ts'
import { createSmtpTransport } from '../../src/messages/smtp-transport.ts'
import { deliverInTime } from '../../src/messages/transport.ts'
import { FROM, failureOf, LETTER, localhost } from '../support/letters.ts'
import { startSmtp } from '../support/smtp-server.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const PASSWORD = 'p@ss/w:rd'

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
    t.match(error, { permanent, unreachable }, name)
    t.equal(error.message, message)
  }
  const closed = await startSmtp(t)
  await closed.close()
  const error = await failureOf(createSmtpTransport({ url: new URL(`smtp://127.0.0.1:${closed.port}`), from: FROM }))
  t.match(error, { permanent: false, unreachable: true, message: /ECONNREFUSED/ })
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
