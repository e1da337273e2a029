import type { SendMailOptions } from 'nodemailer'
import type { Letter } from './message.ts'

/** The address and the name in `Example <no-reply@example.com>`, or in an address alone. */
export function senderOf(from: string): { name: string; address: string } {
  const [, name = '', address = from] = /^(.*) <(.*)>$/.exec(from) ?? []
  return { name, address }
}

/** The host of a sender: `Example <no-reply@example.com>` has `example.com`. */
export const hostOf = (from: string): string => senderOf(from).address.replace(/^.*@/, '')

/**
 * A letter as nodemailer takes it. Addresses are objects: as texts they would be parsed as lists, and one with a comma
 * in it would be two recipients. Files and URLs can't be fetched into it.
 *
 * @param from `MAIL_FROM`
 */
export function mailOf(letter: Letter, from: string): SendMailOptions {
  const sender = senderOf(from)
  const { to, messageId, subject, text, html, language, date } = letter
  return {
    from: sender,
    to: { name: '', address: to },
    envelope: { from: sender.address, to: [to] },
    messageId: `<${messageId}>`,
    date: new Date(date * 1000),
    subject,
    text,
    ...(html !== '' && { html }),
    // RFC 3834 section 5: nobody's holiday notice answers it.
    headers: { 'Auto-Submitted': 'auto-generated', 'Content-Language': language },
    baseBoundary: messageId.replace(/@.*$/, ''),
    xMailer: false,
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}
