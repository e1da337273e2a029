import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { openTransport } from '../../src/messages/open-transport.ts'
import { createWebhookTransport } from '../../src/messages/webhook-transport.ts'
import { FROM, failureOf, LETTER, localhost } from '../support/letters.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

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
