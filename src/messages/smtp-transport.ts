import type { NodemailerError, Transporter } from 'nodemailer'
import { isLoopback } from '../http/loopback.ts'
import { DeliveryError } from './delivery-error.ts'
import { mailOf } from './mail.ts'
import type { Transport } from './transport.ts'

const CONNECT_TIMEOUT_MS = 10_000
/** How long the server may be silent. All of a delivery together must end within DELIVERY_TIMEOUT_SECONDS. */
const SILENCE_TIMEOUT_MS = 15_000

/**
 * SMTP. Every message has a connection of its own: there is nothing to keep alive, and a connection that hangs holds up
 * one message. The certificate is checked. `smtp://` begins TLS with STARTTLS or sends nothing, except to this machine,
 * where no certificate could be checked.
 *
 * @param options.url `smtp://user:password@host:587`, or `smtps://…`
 * @param options.from `MAIL_FROM`
 * @param options.ca certificates to trust instead of those of Node
 */
export function createSmtpTransport({ url, from, ca }: { url: URL; from: string; ca?: string }): Transport {
  let transporter: Promise<Transporter> | undefined
  return {
    async deliver(letter) {
      transporter ??= connectTo(url, ca)
      try {
        await (await transporter).sendMail(mailOf(letter, from))
      } catch (error) {
        throw asDeliveryError(error as NodemailerError)
      }
      return { to: url.host }
    },
    close: () => void transporter?.then((open) => open.close()),
  }
}

/** nodemailer is loaded by the first message. */
async function connectTo(url: URL, ca: string | undefined): Promise<Transporter> {
  const { createTransport } = await import('nodemailer')
  const secure = url.protocol === 'smtps:'
  const local = !secure && isLoopback(url.hostname)
  const user = decodeURIComponent(url.username)
  return createTransport({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (secure ? 465 : 587) : Number(url.port),
    secure,
    requireTLS: !secure && !local,
    ignoreTLS: local,
    ...(user !== '' && { auth: { user, pass: decodeURIComponent(url.password) } }),
    tls: { minVersion: 'TLSv1.2', rejectUnauthorized: true, ...(ca !== undefined && { ca }) },
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: CONNECT_TIMEOUT_MS,
    dnsTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
}

/**
 * What a server says may hold the recipient's address or our user name. So of its answer only the numbers are kept; a
 * text only when it is Node's own (no connection, a bad certificate).
 */
function asDeliveryError(error: NodemailerError): DeliveryError {
  const { code = 'error', command = '', response, responseCode = 0, message } = error
  const [, status = ''] = /^\d{3}[ -](\d\.\d{1,3}\.\d{1,3})\b/.exec(String(response ?? '')) ?? []
  const aboutMessage = command === 'RCPT TO' || command === 'DATA'
  const answered = responseCode > 0
  const said = answered ? `${responseCode} ${status}`.trim() : aboutMessage ? '' : message.slice(0, 160)
  return new DeliveryError(`SMTP: ${[code, command, said].filter(Boolean).join(' ')}`, {
    // RFC 3463 section 3.8: x.7.x is the server's policy towards us ("relaying denied"), not a fault of the address.
    permanent: aboutMessage && responseCode >= 500 && responseCode !== 530 && !status.startsWith('5.7.'),
    unreachable: !(aboutMessage && answered),
  })
}
