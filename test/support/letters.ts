import { DeliveryError } from '../../src/messages/delivery-error.ts'
import type { Letter } from '../../src/messages/message.ts'
import type { Transport } from '../../src/messages/transport.ts'
import { makeCertificate } from './certificate.ts'

export const FROM = 'Müller & Söhne <no-reply@example.com>'
export const LETTER: Letter = {
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

/** Signed by itself. */
export const localhost = makeCertificate('localhost')

/** Delivers LETTER, and is glad when that fails. */
export async function failureOf(transport: Transport): Promise<DeliveryError> {
  const error = await transport.deliver(LETTER).catch((error: unknown) => error)
  if (error instanceof DeliveryError) return error
  throw new Error(`it was delivered, or failed otherwise: ${error}`)
}
