import type { Config } from '../config/config.ts'
import { createFileTransport } from './file-transport.ts'
import { createSmtpTransport } from './smtp-transport.ts'
import type { Transport } from './transport.ts'
import { readWebhookSecret } from './webhook-secret.ts'
import { createWebhookTransport } from './webhook-transport.ts'

type MailSettings = Pick<Config, 'MAIL_FROM' | 'MAIL_WEBHOOK_SECRET_FILE'>

/**
 * The way by which messages leave.
 *
 * @throws OperatorError when the file of the webhook's secret can't be used
 */
export async function openTransport(config: MailSettings, mailUrl: string): Promise<Transport> {
  const { MAIL_FROM: from, MAIL_WEBHOOK_SECRET_FILE: secretFile = '' } = config
  if (mailUrl.startsWith('file:')) return createFileTransport({ dir: mailUrl.slice('file:'.length), from })
  const url = new URL(mailUrl)
  if (url.protocol !== 'https:') return createSmtpTransport({ url, from })
  return createWebhookTransport({ url, secret: await readWebhookSecret(secretFile) })
}
