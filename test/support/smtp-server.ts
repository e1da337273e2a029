import type { AddressInfo } from 'node:net'
import { text as textOf } from 'node:stream/consumers'
import { type ParsedMail, simpleParser } from 'mailparser'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import type { Test } from 'tap'

export interface SmtpServer {
  readonly port: number
  /** Every message that was accepted, in order. */
  readonly mails: readonly ParsedMail[]
  /** The same, as they came over the wire. */
  readonly raw: readonly string[]
  /** Resolves when so many were accepted. */
  arrived(count: number): Promise<void>
  close(): Promise<void>
}

/**
 * A real SMTP server on this machine. It ends with the test.
 *
 * @param options.port Default: a free one
 * @param options.gate awaited before a message is accepted
 */
export async function startSmtp(
  t: Pick<Test, 'teardown'>,
  { port = 0, gate, ...options }: SMTPServerOptions & { port?: number; gate?: () => Promise<void> } = {},
): Promise<SmtpServer> {
  const mails: ParsedMail[] = []
  const raw: string[] = []
  const waiting: { count: number; resolve: () => void }[] = []
  const server = new SMTPServer({
    authOptional: true,
    hideSTARTTLS: true,
    logger: false,
    closeTimeout: 10,
    async onData(stream, _session, done) {
      const text = await textOf(stream).catch(() => undefined)
      if (text === undefined) return // the client was killed before it had said everything
      await gate?.()
      raw.push(text)
      mails.push(await simpleParser(text))
      done()
      for (const { count, resolve } of waiting) if (mails.length >= count) resolve()
    },
    ...options,
  })
  server.on('error', () => undefined) // a client that is killed
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= new Promise<void>((resolve) => server.close(resolve))
    return closed
  }
  t.teardown(close)
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    raw,
    close,
    arrived: (count) =>
      new Promise((resolve) => {
        if (mails.length >= count) resolve()
        else waiting.push({ count, resolve })
      }),
  }
}
