import { createHmac } from 'node:crypto'
import { request } from 'node:https'
import { type Clock, systemClock, toTimestamp } from '../clock.ts'
import { DeliveryError } from './delivery-error.ts'
import type { Letter } from './message.ts'
import type { Transport } from './transport.ts'

const TIMEOUT_MS = 15_000
/** The answer by which a receiver says that this message can never be delivered. */
const NEVER = 422

/**
 * Posts each message as JSON to a service that sends it. Any answer of 2xx means that it has taken the message over.
 * Redirects are not followed: whoever can redirect must not get to read the messages.
 *
 * @param options.secret signs the calls, see `webhookSignature`
 * @param options.ca certificates to trust instead of those of Node
 */
export function createWebhookTransport(options: { url: URL; secret: Buffer; now?: Clock; ca?: string }): Transport {
  const { url, secret, now = systemClock, ca } = options
  return {
    async deliver(letter) {
      const body = Buffer.from(JSON.stringify(webhookBody(letter)))
      const timestamp = String(now())
      const headers = {
        'content-type': 'application/json',
        'content-length': body.byteLength,
        'user-agent': 'Signet',
        'signet-timestamp': timestamp,
        'signet-signature': `v1=${webhookSignature(secret, timestamp, body)}`,
      }
      const status = await post(url, { headers, ...(ca !== undefined && { ca }) }, body)
      if (status < 200 || status > 299)
        throw new DeliveryError(`webhook: it answered ${status}`, { permanent: status === NEVER })
      return { to: url.host }
    },
    close: () => undefined,
  }
}

/** HMAC-SHA-256 (RFC 2104) over the time, a dot and the body, in hexadecimal. The time makes a stolen call useless. */
export const webhookSignature = (secret: Buffer, timestamp: string, body: Buffer): string =>
  createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex')

function webhookBody({ messageId, kind, to, language, subject, text, html, data, date }: Letter) {
  return { id: messageId, kind, to, language, subject, text, html, data, created_at: toTimestamp(date) }
}

function post(url: URL, options: { headers: Record<string, string | number>; ca?: string }, body: Buffer) {
  return new Promise<number>((resolve, reject) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const fail = (error: NodeJS.ErrnoException) => {
      const why = signal.aborted ? 'no answer in time' : (error.code ?? error.name)
      reject(new DeliveryError(`webhook: ${why}`, { unreachable: true }))
    }
    const call = request(url, { ...options, method: 'POST', signal, agent: false }, (reply) => {
      resolve(reply.statusCode ?? 0)
      reply.destroy() // what else it says is not read: it could be endless
    })
    call.on('error', fail)
    call.end(body)
  })
}
